// Before anything is drawn: the colours that this person chose, if they chose any. Else the system's hold.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("sexton-theme"); } catch { /* no storage: the system's */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
