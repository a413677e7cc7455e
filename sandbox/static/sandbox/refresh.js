// Keeps the board fresh; leaves it alone while somebody works in it with the keyboard.
const board = document.getElementById("board");

async function refresh() {
  if (!document.hidden && !board.contains(document.activeElement)) {
    try {
      const answer = await fetch(board.dataset.source);
      const html = answer.ok ? await answer.text() : "";
      if (html && !board.contains(document.activeElement)) board.innerHTML = html;
    } catch {
      // The sandbox is restarting: try again with the next tick.
    }
  }
  setTimeout(refresh, 2000);
}

setTimeout(refresh, 2000);
