// Emulates other media in a page. WebDriver has no command for this, so the agent changes the
// conditions of the style sheets.
(() => {
  const conditions = new WeakMap();

  // Returns the condition with the features that the test has chosen replaced by their result.
  const decide = (condition, { media, colorScheme, reducedMotion }) => {
    const features = { "prefers-color-scheme": colorScheme, "prefers-reduced-motion": reducedMotion };
    const toPart = (isMet) => (isMet ? "(min-width: 0px)" : "(max-width: 0px)");
    return condition
      .replace(/\b(print|screen)\b/, (type) => (media ? toPart(media === type) : type))
      .replace(/\((prefers-[a-z-]+): ([a-z-]+)\)/g, (part, name, value) => {
        const wanted = features[name];
        return wanted ? toPart(wanted === value) : part;
      });
  };

  const visit = (rules, choice) => {
    for (const rule of rules) {
      if (rule instanceof CSSMediaRule) {
        if (!conditions.has(rule)) conditions.set(rule, rule.media.mediaText);
        rule.media.mediaText = decide(conditions.get(rule), choice);
      }
      if (rule.cssRules) visit(rule.cssRules, choice);
    }
  };

  const { matchMedia } = window;
  const chosen = {};
  window.__test.setMedia = (choice) => {
    Object.assign(chosen, choice);
    window.matchMedia = (condition) => matchMedia.call(window, decide(condition, chosen));
    // Also selects the colour of `light-dark()`.
    if (chosen.colorScheme) document.documentElement.style.colorScheme = chosen.colorScheme;
    for (const sheet of [...document.styleSheets, ...(document.adoptedStyleSheets ?? [])]) visit(sheet.cssRules, chosen);
  };
})();
