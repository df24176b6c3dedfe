// Keyboard, mouse and touch screen of a page, with the methods of Playwright's classes.
const KEYS = {
  Escape: "\uE00C", Enter: "\uE007", Tab: "\uE004", Space: " ", Backspace: "\uE003", Delete: "\uE017",
  ArrowLeft: "\uE012", ArrowUp: "\uE013", ArrowRight: "\uE014", ArrowDown: "\uE015", Shift: "\uE008",
};

export class Keyboard {
  #page;

  constructor(page) { this.#page = page; }

  #send(actions) { return this.#page.act([{ type: "key", id: "keyboard", actions }]); }

  press(key) {
    const keys = key.split("+").map((name) => KEYS[name] ?? name);
    const down = keys.map((value) => ({ type: "keyDown", value }));
    return this.#send([...down, ...keys.reverse().map((value) => ({ type: "keyUp", value }))]);
  }

  type(text) {
    return this.#send([...text].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]));
  }
}

export class Mouse {
  #page;
  #point = { x: 0, y: 0 };

  constructor(page) { this.#page = page; }

  #send(actions) {
    const parameters = { pointerType: "mouse" };
    return this.#page.act([{ type: "pointer", id: "mouse", parameters, actions }]);
  }

  move(x, y) {
    this.#point = { x, y };
    return this.#send([{ type: "pointerMove", x, y, duration: 0 }]);
  }

  click(x, y) {
    this.#point = { x, y };
    return this.#send([
      { type: "pointerMove", x, y, duration: 0 },
      { type: "pointerDown", button: 0 },
      { type: "pointerUp", button: 0 },
    ]);
  }

  wheel(deltaX, deltaY) {
    const scroll = { type: "scroll", ...this.#point, deltaX, deltaY, duration: 0 };
    return this.#page.act([{ type: "wheel", id: "wheel", actions: [scroll] }]);
  }
}
