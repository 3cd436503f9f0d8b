// Unfold makes some of its buttons of plain elements a keyboard cannot reach: they are given a name and obey Enter and Space.
addEventListener("DOMContentLoaded", () => {
  const buttons = [
    ["#header-inner [x-on\\:click*=sidebar]", "Show or hide the menu"],
    ["#nav-sidebar [x-on\\:click*=sidebarMobileOpen]", "Close the menu"],
    ["#nav-sidebar [x-on\\:click*='openUserLinks = !']", "Your account"],
    ["[x-on\\:click*='openTheme = !']", "Light or dark"],
    ["#changelist [x-on\\:click*='filterOpen = true']", "Filters"],
  ];
  buttons.forEach(([selector, name]) => document.querySelectorAll(selector).forEach((element) => {
    element.tabIndex = 0;
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", name);
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      element.click();
    });
  }));
});
