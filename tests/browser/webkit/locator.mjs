// Elements of a page, with the methods of Playwright's class.
import { poll } from "./wait.mjs";

// Returns the steps of selectors.js for a selector of CSS, `text=…` or `CSS:has-text("…")`.
const parse = (selector) => {
  if (selector.startsWith("text=")) return [["text", selector.slice(5)]];
  const [, css, text] = /^(.*?)(?::has-text\("(.*)"\))?$/.exec(selector);
  return text === undefined ? [["css", css]] : [["css", css], ["hasText", text]];
};

const withText = (steps, { hasText } = {}) => (hasText === undefined ? steps : [...steps, ["hasText", hasText]]);

export class Locator {
  #page;
  #steps;
  #isStrict;

  constructor(page, steps, isStrict = true) {
    this.#page = page;
    this.#steps = steps;
    this.#isStrict = isStrict;
  }

  static fromSelector(page, selector, options, isStrict) {
    return new Locator(page, withText(parse(selector), options), isStrict);
  }

  #add(...steps) { return new Locator(this.#page, [...this.#steps, ...steps], this.#isStrict); }

  locator(selector, options) { return this.#add(...withText(parse(selector), options)); }
  getByRole(role, { name } = {}) { return this.#add(["role", { role, name }]); }
  getByText(text) { return this.#add(["text", text]); }
  nth(n) { return this.#add(["nth", n]); }
  first() { return this.nth(0); }

  filter({ hasText, visible }) {
    const steps = withText([], { hasText });
    return this.#add(...steps, ...(visible === undefined ? [] : [["visible", visible]]));
  }

  toString() { return JSON.stringify(this.#steps); }

  // Calls a function with all elements.
  evaluateAll(use, arg) { return this.#page.evaluateWith(`window.__test.findAll(${this})`, use, arg); }

  // Calls a function with the element as soon as there is one.
  async evaluate(use, arg, options) {
    const { value } = await poll(() => `no ${this}`, () => this.#withElement(use, arg), options);
    return value;
  }

  // Returns nothing if there is no element.
  async #withElement(use, arg) {
    const [count, value] = await this.#page.evaluateWith(`window.__test.findAll(${this})`, use, arg, true);
    if (count > 1 && this.#isStrict) throw new Error(`strict mode violation: ${count} elements match ${this}`);
    return count > 0 && { value };
  }

  count() { return this.evaluateAll((elements) => elements.length); }
  allTextContents() { return this.evaluateAll((elements) => elements.map(({ textContent }) => textContent)); }
  isVisible() { return this.evaluateAll((elements) => elements.length > 0 && window.__test.isVisible(elements[0])); }
  textContent() { return this.evaluate((element) => element.textContent); }
  innerText() { return this.evaluate((element) => element.innerText); }
  inputValue() { return this.evaluate((element) => element.value); }
  isDisabled() { return this.evaluate((element) => element.disabled); }
  getAttribute(name) { return this.evaluate((element, wanted) => element.getAttribute(wanted), name); }
  focus() { return this.evaluate((element) => element.focus()); }

  boundingBox() {
    return this.evaluate((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x, y, width, height };
    });
  }

  waitFor({ state = "visible", ...options } = {}) {
    return poll(() => `${this} is not ${state}`, async () => (await this.isVisible()) === (state === "visible"), options);
  }

  async click(options) {
    let target;
    await poll(() => `${this} ${target}`, async () => {
      target = await this.evaluate((element) => window.__test.getTarget(element), undefined, options);
      return typeof target === "object";
    }, options);
    await this.#page.mouse.click(target.x, target.y);
  }

  check() { return this.click(); }

  // Replaces the text in the same way as a paste.
  fill(text) {
    return poll(() => `${this} cannot be filled in`, () => this.evaluate((element, value) => {
      if (!window.__test.isVisible(element) || element.disabled) return false;
      element.focus();
      element.select();
      document.execCommand(value ? "insertText" : "delete", false, value);
      return true;
    }, text));
  }

  async press(key) {
    await this.focus();
    await this.#page.keyboard.press(key);
  }

  selectOption(label) {
    return this.evaluate((element, wanted) => {
      const { value } = [...element.options].find((option) => option.label === wanted || option.value === wanted);
      element.value = value;
      for (const type of ["input", "change"]) element.dispatchEvent(new Event(type, { bubbles: true }));
    }, label);
  }
}
