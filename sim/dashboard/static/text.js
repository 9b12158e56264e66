// Numbers and times of the dashboard as text.

const fill = (id, ...children) =>
  byId(id).replaceChildren(...children.flat(Infinity).filter((each) => each));
const signed = (value, digits) => (known(value) && value > 0 ? "+" : "") + decimal(value, digits);
const percent = (value, digits = 1) => (known(value) ? `${decimal(100 * value, digits)} %` : NONE);
const many = (count, one, more = `${one}s`) => `${decimal(count)} ${count === 1 ? one : more}`;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

function moment(us) {
  if (!known(us)) return NONE;
  const at = new Date(us / 1000);
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}
const dated = (us) =>
  `${moment(us).replace(/ \d\d:/, (time) => ` ${new Date(us / 1000).getUTCFullYear()}${time}`)} UTC`;

function lasting(us) {
  const minutes = us / 60e6;
  if (minutes < 1) return `${Math.round(us / 1e6)} s`;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  if (minutes < 48 * 60) return `${decimal(minutes / 60, minutes < 600 ? 1 : 0)} h`;
  const days = minutes / 1440;
  return days < 730 ? `${decimal(days, days < 100 ? 1 : 0)} days` : `${decimal(days / 365.2425, 1)} years`;
}

const RULES = {
  type: "wrong type",
  null: "missing value",
  identity: "foreign turbine",
  "time.range": "impossible time",
  "time.future": "time in the future",
  "time.stale": "stale time",
  state: "unknown state",
  range: "out of range",
  "power.rotor": "power without rotation",
  "power.rated": "power above rated",
  "power.wind": "power without wind",
  stuck: "stuck sensor",
  duplicate: "duplicate rows",
};
const KINDS = {
  vibration: "Vibration alarm in windows",
  vibration_level: "Vibration above the alarm",
  generator_heat: "Generator hot",
  gearbox_heat: "Gearbox hot",
  overspeed: "Rotor overspeed",
  underperformance: "Low output for the wind",
};
const plain = (word) => word.charAt(0).toUpperCase() + word.slice(1).replaceAll("_", " ");
function kindText(kind) {
  if (kind.startsWith("rejected.")) return `Rejected: ${RULES[kind.slice(9)] || kind.slice(9)}`;
  return KINDS[kind] || plain(kind);
}
