import { useState } from "react";

type Theme = "light" | "dark";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Light or dark: the system's choice until somebody makes one here. `public/theme.js` sets it before the first paint. */
export function ThemeToggle() {
  const [theme, setTheme] = useState<Theme>(() => {
    const { theme: chosen } = document.documentElement.dataset;
    return chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
  });
  const other: Theme = theme === "dark" ? "light" : "dark";

  function change(): void {
    setTheme(other);
    document.documentElement.dataset["theme"] = other;
    try {
      localStorage.setItem("theme", other);
    } catch {
      // Storage is switched off: it holds until the page is loaded again.
    }
  }

  return (
    <button type="button" className="theme" onClick={change} aria-label={`Switch to the ${other} theme`}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <circle cx="12" cy="12" r="8" fill="none" stroke="currentColor" strokeWidth="2" />
        <path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" />
      </svg>
    </button>
  );
}
