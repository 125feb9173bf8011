/**
 * Three stories that play by themselves. They say what is done and when; what comes of it says the server.
 */
export interface Step {
  readonly act: "steal" | "thief" | "owner" | "lose";
  /** Milliseconds before it. */
  readonly after: number;
  /** What the page says meanwhile, when that is long. */
  readonly why?: string;
}

/** A little more than the window in which the server forgives two calls at once. */
const PAST_THE_WINDOW = 5600;
const LATER = { after: PAST_THE_WINDOW, why: "In real life: minutes, or days. Here: until the five seconds are over that two tabs are forgiven." };

export const SCRIPTS = {
  thief: {
    title: "The thief is first",
    text: "The copy is used before the owner’s app comes back.",
    steps: [
      { act: "steal", after: 1200 },
      { act: "thief", after: 1400 },
      { act: "owner", ...LATER },
      { act: "thief", after: 1800 },
    ],
  },
  owner: {
    title: "The owner is first",
    text: "The owner’s app refreshes; the thief comes later.",
    steps: [
      { act: "steal", after: 1200 },
      { act: "owner", after: 1400 },
      { act: "thief", ...LATER },
      { act: "owner", after: 1800 },
    ],
  },
  lost: {
    title: "No thief: an answer is lost",
    text: "A train, a tunnel. The same token comes twice, honestly.",
    steps: [
      { act: "lose", after: 1400 },
      { act: "owner", ...LATER, why: "In the tunnel. Longer than any window of time; hours would do as well." },
      { act: "owner", after: 1800 },
    ],
  },
} as const satisfies Record<string, { title: string; text: string; steps: readonly Step[] }>;

export type ScriptName = keyof typeof SCRIPTS;
export const SCRIPT_NAMES = Object.keys(SCRIPTS) as ScriptName[];
