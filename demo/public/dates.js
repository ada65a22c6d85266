// Days and times as the person's time zone has them. The server has moments in UTC, and days without a time.

const LOCALE = navigator.language;
const NEAR = new Map([[-1, "Yesterday"], [0, "Today"], [1, "Tomorrow"]]);

// Days stand for themselves: as midnight in UTC, they are written in UTC.
const DAY = new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

let clock, wall;
let zone = null;
setZone(undefined);

/** The person's time zone; that of the browser where it does not know it. */
export function setZone(timeZone) {
  if (timeZone === zone) return;
  zone = timeZone;
  try {
    clock = new Intl.DateTimeFormat(LOCALE, { timeStyle: "short", timeZone });
    wall = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone }); // 2030-05-01 14:30:00
  } catch {
    setZone(undefined);
  }
}

/** "2030-05-01" */
export const dayOf = (moment) => wall.format(new Date(moment)).slice(0, 10);

/** "14:30" */
export const timeOf = (moment) => wall.format(new Date(moment)).slice(11, 16);

export const today = () => dayOf(Date.now());

/** The moment at which clocks show that. */
export function momentOf(day, time) {
  const shown = Date.parse(`${day}T${time}Z`);
  // Twice, as the clocks may change between the first guess and the moment.
  const guess = shown - offsetAt(shown);
  return new Date(shown - offsetAt(guess)).toISOString();
}

/** How far clocks are ahead of UTC, in milliseconds. */
function offsetAt(time) {
  return Date.parse(`${wall.format(new Date(time)).replace(" ", "T")}Z`) - Math.floor(time / 1000) * 1000;
}

/** As `GET /tasks?due=` has it. @returns {"overdue" | "today" | "upcoming" | "none"} */
export function dueOf({ deadline, due_on: dueOn }) {
  if (!deadline && !dueOn) return "none";
  if (deadline && Date.parse(deadline) < Date.now()) return "overdue";
  const day = dueOn ?? dayOf(deadline);
  if (day < today()) return "overdue";
  return day === today() ? "today" : "upcoming";
}

/** "Tomorrow, 17:00" */
export function inWords(moment) {
  return `${dayInWords(dayOf(moment))}, ${clock.format(new Date(moment))}`;
}

/** "Tomorrow" */
export function dayInWords(day) {
  const distance = Math.round((Date.parse(day) - Date.parse(today())) / 86_400_000);
  const sameYear = day.slice(0, 4) === today().slice(0, 4);
  return NEAR.get(distance) ?? (sameYear ? DAY : DAY_AND_YEAR).format(new Date(day));
}
