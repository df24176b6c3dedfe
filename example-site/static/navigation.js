// Scrolls the navigation of a small screen to the link of the page.
(() => {
  "use strict";
  for (const link of document.querySelectorAll("nav [aria-current]")) {
    const list = link.closest("ul");
    const [outer, inner] = [list.getBoundingClientRect(), link.getBoundingClientRect()];
    list.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  }
})();
