import { useKeywheel } from "@keywheel/apollo/react";
import { Suspense, lazy, useEffect, useRef, useState, type ComponentType, type ReactNode } from "react";
import { keywheel } from "./client";
import { Devices } from "./pages/Devices";
import { ForgotPassword } from "./pages/ForgotPassword";
import { Password } from "./pages/Password";
import { Profile } from "./pages/Profile";
import { ResetPassword } from "./pages/ResetPassword";
import { SignIn } from "./pages/SignIn";
import { SignUp } from "./pages/SignUp";
import { VerifyEmail } from "./pages/VerifyEmail";
import { Welcome } from "./pages/Welcome";
import { Link, navigate, usePath } from "./router";
import { PasswordPrompt } from "./ui/PasswordPrompt";
import { ThemeToggle } from "./ui/Theme";
import { useSessionEvents } from "./useSessionEvents";

const Steal = lazy(() => import("./steal/Steal"));

interface Page {
  readonly title: string;
  readonly content: ComponentType;
  /** Who may see it: guests are shown the sign-in page in place of one for members, members go on from one for guests. */
  readonly for: "guests" | "members" | "everybody";
}

const PAGES: Record<string, Page> = {
  "/": { title: "Welcome", content: Welcome, for: "guests" },
  "/sign-in": { title: "Sign in", content: SignIn, for: "guests" },
  "/sign-up": { title: "Sign up", content: SignUp, for: "guests" },
  "/forgot-password": { title: "Forgotten password", content: ForgotPassword, for: "everybody" },
  "/reset-password": { title: "New password", content: ResetPassword, for: "everybody" },
  "/verify-email": { title: "Confirm your email address", content: VerifyEmail, for: "everybody" },
  "/profile": { title: "Profile", content: Profile, for: "members" },
  "/devices": { title: "Devices", content: Devices, for: "members" },
  "/password": { title: "Password", content: Password, for: "members" },
  "/steal": { title: "Steal this session", content: Steal, for: "everybody" },
};

const NOWHERE: Page = { title: "There is no such page", content: Nowhere, for: "everybody" };

export function App() {
  const { status } = useKeywheel(keywheel);
  const path = usePath();
  const asked = PAGES[path] ?? NOWHERE;
  const page = asked.for === "members" && status === "signedOut" ? PAGES["/sign-in"]! : asked;
  const known = status !== "unknown" || page.for === "everybody";
  const leaving = asked.for === "guests" && status === "signedIn";

  useEffect(() => {
    if (leaving) navigate("/devices", { replace: true });
  }, [leaving]);

  const Content = page.content;
  return (
    <PasswordPrompt>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Header signedIn={status === "signedIn"} />
      <main id="main" tabIndex={-1}>
        {known && !leaving ? (
          <Titled key={page.title} title={page.title}>
            <Suspense fallback={<Waiting />}>
              <Content />
            </Suspense>
          </Titled>
        ) : (
          <Waiting />
        )}
      </main>
      <footer>
        <p>
          An example for Keywheel, with React and Apollo Client. Questions of style are yours to change; how it signs in is not.
        </p>
      </footer>
      {status === "signedIn" && <SessionEvents />}
    </PasswordPrompt>
  );
}

function Header({ signedIn }: { signedIn: boolean }) {
  return (
    <header className="top">
      <Link href="/" className="brand">
        <img src="/keywheel.svg" alt="" width="28" height="28" /> Keywheel
      </Link>
      <nav aria-label="Main">
        {signedIn ? (
          <>
            <Link href="/devices">Devices</Link>
            <Link href="/profile">Profile</Link>
            <Link href="/password">Password</Link>
          </>
        ) : (
          <>
            <Link href="/sign-in">Sign in</Link>
            <Link href="/sign-up">Sign up</Link>
          </>
        )}
        <Link href="/steal">Steal this session</Link>
      </nav>
      <div className="tools">
        {signedIn && (
          <button type="button" className="button small" onClick={() => void keywheel.logout().catch(() => undefined)}>
            Sign out
          </button>
        )}
        <ThemeToggle />
      </div>
    </header>
  );
}

/** Tells the browser and a screen reader that this is another page: by its title, and by the focus. */
function Titled({ title, children }: { title: string; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Keywheel`;
    // The first page of a visit has the focus where the browser puts it.
    if (visited && !document.activeElement?.closest("main input")) heading.current?.focus({ preventScroll: true });
    visited = true;
  }, [title]);
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </>
  );
}

let visited = false;

/** Nobody has looked yet, or Keywheel does not answer. Says nothing in the first moment, which is mostly enough. */
function Waiting() {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), 1500);
    return () => clearTimeout(timer);
  }, []);
  if (!long) return null;
  return (
    <div className="waiting" role="status">
      <p>Keywheel does not answer yet. Is it running?</p>
      <button type="button" className="button" onClick={() => void keywheel.ready()}>
        Try again
      </button>
    </div>
  );
}

function Nowhere() {
  return (
    <p>
      Go to <Link href="/">the first page</Link>.
    </p>
  );
}

/** Follows the sessions of whoever is signed in. It draws nothing. */
function SessionEvents() {
  useSessionEvents();
  return null;
}
