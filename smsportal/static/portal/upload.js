// Unfold looks for its own file box beside every file input and stumbles over a plain one; this one needs no help.
document.querySelectorAll("input[type=file]").forEach((input) => { input.hasChangeListener = true; });
