// The live clock, and the fragment of the link that was followed.
(() => {
  const fragment = document.getElementById("fragment");
  const showFragment = () => { if (fragment) fragment.textContent = location.hash; };
  addEventListener("hashchange", showFragment);
  showFragment();

  const clock = document.getElementById("clock");
  if (!clock) return;
  let patience = 1000;
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/clock`);
    socket.onmessage = (event) => {
      patience = 1000;
      clock.textContent = new Date(JSON.parse(event.data).time).toLocaleTimeString();
      clock.classList.add("live");
    };
    socket.onclose = () => {
      clock.classList.remove("live");
      setTimeout(connect, patience);
      patience = Math.min(patience * 2, 30000);
    };
  };
  connect();
})();
