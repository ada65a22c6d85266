// Deadlines: local time for people, UTC for the server.

const TIME = new Intl.DateTimeFormat(navigator.language, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(navigator.language, { weekday: "short", day: "numeric", month: "short" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(navigator.language, { day: "numeric", month: "short", year: "numeric" });

const NEAR = new Map([[-1, "Yesterday"], [0, "Today"], [1, "Tomorrow"]]);

/** "Tomorrow, 17:00" */
export function inWords(iso, now = new Date()) {
  const date = new Date(iso);
  const sameYear = date.getFullYear() === now.getFullYear();
  const day = NEAR.get(daysBetween(now, date)) ?? (sameYear ? DAY : DAY_AND_YEAR).format(date);
  return `${day}, ${TIME.format(date)}`;
}

/** What an `<input type="datetime-local">` shows for a timestamp of the server. */
export function toInput(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** The timestamp for the server of what such an input holds. */
export function fromInput(value) {
  return value ? new Date(value).toISOString() : null;
}

function daysBetween(from, to) {
  // Through UTC, as local days can have 23 or 25 hours.
  const day = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((day(to) - day(from)) / 86_400_000);
}
