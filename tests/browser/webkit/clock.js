// Clock of a page that the test moves: `Date`, `performance.now`, timeouts and intervals. Until the
// test stops it, it advances with the real time.
window.__test.installClock = ({ wall, offset, pausedAt }) => {
  const { Date: RealDate, setTimeout: startTimer, clearTimeout: stopTimer } = window;
  const realNow = performance.now.bind(performance);
  const MAX_DELAY = 2 ** 31 - 1;
  // `wall` and `offset` are the differences of `Date` and of the timers from the real time.
  const clock = { wall, offset, pausedAt };
  const timers = new Map();
  let lastId = 0;
  let alarm;
  const turn = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(0);
  });

  // Milliseconds since the start of the page, by its clock.
  const start = RealDate.now() + offset;
  const ticks = () => (clock.pausedAt === undefined ? RealDate.now() + clock.offset : clock.pausedAt) - start;
  const getTime = () => Math.floor(ticks() + start + clock.wall);

  class FakeDate extends RealDate {
    constructor(...parts) { super(...(parts.length ? parts : [getTime()])); }
    static now() { return getTime(); }
  }
  window.Date = FakeDate;
  performance.now = () => ticks();

  const setAlarm = () => {
    stopTimer.call(window, alarm);
    if (clock.pausedAt !== undefined || timers.size === 0) return;
    const due = Math.min(...[...timers.values()].map(({ at }) => at));
    alarm = startTimer.call(window, () => runDue().then(setAlarm), Math.min(Math.max(0, due - ticks()), MAX_DELAY));
  };

  const fire = (timer) => {
    if (timer.interval === undefined) timers.delete(timer.id);
    else timer.at = ticks() + timer.interval;
    try {
      timer.callback.apply(window, timer.args);
    } catch (error) {
      reportError(error);
    }
  };

  // Runs the due timers in order. After each timer, runs the promises that it resolves.
  const runDue = async () => {
    for (;;) {
      const [next] = [...timers.values()].filter(({ at }) => at <= ticks()).sort((a, b) => a.at - b.at || a.id - b.id);
      if (!next) return;
      fire(next);
      await turn();
    }
  };

  const addTimer = (callback, delay, args, isInterval) => {
    const number = Number(delay) || 0;
    const time = number > MAX_DELAY || number < 0 ? 0 : number; // as browsers do
    const timer = { id: lastId += 1, at: ticks() + time, callback, args };
    if (isInterval) timer.interval = Math.max(time, 4);
    timers.set(timer.id, timer);
    setAlarm();
    return timer.id;
  };
  window.setTimeout = (callback, delay, ...args) => addTimer(callback, delay, args, false);
  window.setInterval = (callback, delay, ...args) => addTimer(callback, delay, args, true);
  window.clearTimeout = window.clearInterval = (id) => { timers.delete(id); };

  // Sets the clock to the time that the test has chosen. Timers that have become due run once.
  window.__test.setClock = async (values) => {
    Object.assign(clock, { pausedAt: undefined }, values);
    await runDue();
    setAlarm();
  };

  // Advances the clock, and runs each timer at its own time.
  window.__test.runClock = async (milliseconds) => {
    const { pausedAt } = clock;
    const end = ticks() + start + milliseconds;
    for (;;) {
      const due = Math.min(...[...timers.values()].map(({ at }) => at)) + start;
      if (due > end) break;
      clock.pausedAt = Math.max(due, ticks() + start);
      await runDue();
    }
    clock.offset += milliseconds;
    clock.pausedAt = pausedAt === undefined ? undefined : pausedAt + milliseconds;
    setAlarm();
  };
};
