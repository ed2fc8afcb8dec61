// Signs ThingsBoard's own pages in: writes what they keep in this browser, in place of what anybody
// else left there, and leads on. "Back" does not come back to it.
const way = document.getElementById("hand-off");
const { token, life, renewal, renewalLife } = way.dataset;
const keep = (name, value, span) => {
  localStorage.setItem(name, value);
  localStorage.setItem(`${name}_expiration`, String(Date.now() + Number(span)));
};
keep("jwt_token", token, life);
keep("refresh_token", renewal, renewalLife);
const place = new URL(way.href);
place.hash ||= location.hash;
location.replace(place.href);
