const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** A point in time: its date, or about how long ago. */
export function Moment({ at, date = false }: { at: string; date?: boolean }) {
  const then = new Date(at);
  return (
    <time dateTime={at} title={EXACT.format(then)}>
      {date ? DAY.format(then) : ago(then)}
    </time>
  );
}

function ago(then: Date): string {
  const hours = (then.getTime() - Date.now()) / 3_600_000;
  if (hours > -1) return "within the last hour"; // the server tells no more than that
  return hours > -48 ? AGO.format(Math.round(hours), "hour") : AGO.format(Math.round(hours / 24), "day");
}
