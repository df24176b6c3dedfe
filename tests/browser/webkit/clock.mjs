// Clock of the pages of a context, with the methods of Playwright's class. The values are those of
// clock.js.
const toMilliseconds = (time) => {
  if (typeof time === "number") return time;
  return time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) * 1000;
};

export class Clock {
  #context;
  #values;

  constructor(context) { this.#context = context; }

  // The values for a new page.
  get values() { return this.#values; }

  async install() {
    this.#values = { wall: 0, offset: 0 };
  }

  fastForward(time) {
    this.#advance(toMilliseconds(time));
    return this.#apply();
  }

  pauseAt(time) {
    this.#values.pausedAt = Number(time) - this.#values.wall;
    return this.#apply();
  }

  setSystemTime(time) {
    this.#values.wall = Number(time) - (this.#values.pausedAt ?? Date.now() + this.#values.offset);
    return this.#apply();
  }

  async runFor(time) {
    await this.#context.inPages((milliseconds) => window.__test.runClock(milliseconds), toMilliseconds(time));
    this.#advance(toMilliseconds(time));
  }

  #advance(milliseconds) {
    if (this.#values.pausedAt === undefined) this.#values.offset += milliseconds;
    else this.#values.pausedAt += milliseconds;
  }

  #apply() { return this.#context.inPages((values) => window.__test.setClock?.(values), this.#values); }
}
