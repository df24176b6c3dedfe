// Functions that run in the main process of Firefox, with access to its internal interfaces.

// Returns the driver object behind an object of Playwright's interface. The driver runs in this
// process.
export const implementationOf = (object) => object._connection.toImpl(object);

// Returns a function that runs `run(argument, browsingContext)` in the window of the browser, with
// the browsing context of this id. `argument` and the result must be JSON.
export const createSystem = (session) => {
  let window;
  return async (run, argument = null, id = null) => {
    window ??= (await session.send("browsingContext.getTree", { "moz:scope": "chrome" })).contexts[0].context;
    const { type, result, exceptionDetails } = await session.send("script.callFunction", {
      functionDeclaration: `async (text) => {
        const { NavigableManager } = ChromeUtils.importESModule("chrome://remote/content/shared/NavigableManager.sys.mjs");
        const { argument, id } = JSON.parse(text);
        return JSON.stringify(await (${run})(argument, id && NavigableManager.getBrowsingContextById(id)) ?? null);
      }`,
      arguments: [{ type: "string", value: JSON.stringify({ argument, id }) }],
      target: { context: window },
      awaitPromise: true,
    });
    if (type === "exception") throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  };
};

// Returns this function for a page.
export const systemOf = (page) => implementationOf(page.context().browser()).system;
