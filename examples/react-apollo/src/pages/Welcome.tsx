import { Link } from "../router";

export function Welcome() {
  return (
    <div className="welcome">
      <blockquote>
        <p>If one old token falls into the wrong hands, the thief refreshes for ever. How do I prevent that?</p>
      </blockquote>
      <p className="lead">
        Steal a session here, and watch what becomes of it: two clients, one copied token, and a server that tells them apart.
      </p>
      <p className="actions">
        <Link href="/steal" className="button primary large">
          Steal this session
        </Link>
        <Link href="/sign-up" className="button large">
          Sign up
        </Link>
        <Link href="/sign-in" className="button large">
          Sign in
        </Link>
      </p>
      <p className="quiet">
        Stealing needs an account to steal from. <code>keywheel dev</code> prints one when it starts.
      </p>
    </div>
  );
}
