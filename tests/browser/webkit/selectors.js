// Finds elements by the steps of a locator.
(() => {
  const ROLES = {
    alert: "[role=alert]",
    button: "button, [role=button], input[type=submit], input[type=button]",
    complementary: "aside, [role=complementary]",
    dialog: "dialog, [role=dialog]",
    heading: "h1, h2, h3, h4, h5, h6, [role=heading]",
    link: "a[href], [role=link]",
    radio: "input[type=radio], [role=radio]",
    status: "[role=status], output",
    textbox: "textarea, input:not([type]), input[type=text], input[type=email], [role=textbox]",
  };
  const toWords = (text) => text.replace(/\s+/g, " ").trim().toLowerCase();
  const getText = (element) => toWords(element.type === "submit" && element.value ? element.value : element.textContent);
  const includes = (text, part) => toWords(text).includes(toWords(part));

  const isVisible = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0 && getComputedStyle(element).visibility === "visible";
  };

  const isExposed = (element) => !element.closest("[aria-hidden=true]")
    && element.checkVisibility() && getComputedStyle(element).visibility === "visible";

  const getName = (element) => {
    const ids = element.getAttribute("aria-labelledby")?.split(" ");
    if (ids) return ids.map((id) => document.getElementById(id)?.textContent).join(" ");
    if (element.tagName === "DIALOG") return element.ariaLabel ?? "";
    const labels = [...(element.tagName === "BUTTON" ? [] : (element.labels ?? []))];
    return element.ariaLabel ?? (labels.map(({ textContent }) => textContent).join(" ") || element.value || element.textContent);
  };

  const STEPS = {
    css: (roots, css) => roots.flatMap((root) => [...root.querySelectorAll(css)]),
    text: (roots, text) => STEPS.css(roots, "body, body *")
      .filter((element) => !/^(SCRIPT|STYLE)$/.test(element.tagName) && includes(getText(element), text)
        && ![...element.children].some((child) => includes(getText(child), text))),
    role: (roots, { role, name }) => STEPS.css(roots, ROLES[role])
      .filter((element) => isExposed(element) && (name === undefined || includes(getName(element), name))),
    hasText: (elements, text) => elements.filter((element) => includes(element.textContent, text)),
    visible: (elements, expected) => elements.filter((element) => isVisible(element) === expected),
    nth: (elements, n) => elements.slice(n, n + 1),
  };

  const { __test: test } = window;
  test.findAll = (steps) => [...new Set(steps.reduce((found, [kind, value]) => STEPS[kind](found, value), [document]))];
  test.isVisible = isVisible;

  // Returns the middle of an element, or the reason why the user cannot click it.
  test.getTarget = (element) => {
    if (!isVisible(element)) return "is not visible";
    if (element.disabled) return "is disabled";
    element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    const { x, y, width, height } = element.getBoundingClientRect();
    const point = { x: Math.floor(x + width / 2), y: Math.floor(y + height / 2) };
    const top = document.elementFromPoint(point.x, point.y);
    return element.contains(top) || top?.closest("label")?.control === element ? point : "is behind another element";
  };
})();
