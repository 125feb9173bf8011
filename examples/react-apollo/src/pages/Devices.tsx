import { useMutation, useQuery } from "@apollo/client/react";
import { useEffect, useRef, useState } from "react";
import { graphql } from "../gql";
import type { SessionsQuery } from "../gql/graphql";
import { problemOf } from "../problems";
import { Loading } from "../ui/Loading";
import { Moment } from "../ui/Moment";

const SESSIONS = graphql(`
  query Sessions {
    me {
      id
      sessions(first: 100) {
        nodes {
          id
          current
          deviceName
          ipAddress
          createdAt
          lastUsedAt
          revokedAt
        }
      }
    }
  }
`);

const REVOKE = graphql(`
  mutation RevokeSessions($input: RevokeSessionsInput!) {
    revokeSessions(input: $input) {
      signedOut
      sessions {
        id
        revokedAt
        revokedReason
      }
    }
  }
`);

type Device = NonNullable<SessionsQuery["me"]>["sessions"]["nodes"][number];

export function Devices() {
  const { data, error, refetch } = useQuery(SESSIONS, {
    fetchPolicy: "cache-and-network",
    // An event may come while the list is on its way, and be newer. Then it has to be read again, and not waited for.
    context: { queryDeduplication: false },
  });
  const [revoke, { loading }] = useMutation(REVOKE);
  const [note, setNote] = useState<{ text: string }>();
  const noted = useRef<HTMLParagraphElement>(null);
  useEffect(() => noted.current?.focus(), [note]); // the button that had the focus is gone

  if (!data?.me) return <Loading error={error} again={() => void refetch()} />;
  // The answer of a revocation, and an event, set `revokedAt` in the cache: gone from the list without asking again.
  const devices = data.me.sessions.nodes.filter((device) => !device.revokedAt);
  const others = devices.filter((device) => !device.current);

  async function end(input: { scope: "SELECTED"; ids: string[] } | { scope: "OTHERS" }, said: string): Promise<void> {
    try {
      await revoke({ variables: { input } });
      setNote({ text: said });
    } catch (failed) {
      setNote({ text: problemOf(failed).text });
    }
  }

  return (
    <>
      <p className="lead">
        Where you are signed in. What happens on other devices shows up here at once, and a device that is signed out leaves at once.
      </p>
      <div role="status">
        {note && (
          <p className="notice good" tabIndex={-1} ref={noted}>
            {note.text}
          </p>
        )}
      </div>
      <ul className="devices">
        {devices.map((device) => (
          <li key={device.id} className="device">
            <DeviceIcon handheld={/iPhone|iPad|Android|phone/i.test(device.deviceName)} />
            <div>
              <h2>
                {device.deviceName} {device.current && <span className="badge good">this device</span>}
              </h2>
              <p className="quiet">
                {device.ipAddress && <span>{device.ipAddress}</span>}
                <span>
                  in use <Moment at={device.lastUsedAt} />
                </span>
                <span>
                  since <Moment at={device.createdAt} date />
                </span>
              </p>
            </div>
            {!device.current && (
              <button
                type="button"
                className="button small"
                aria-label={`Sign out ${device.deviceName}`}
                disabled={loading}
                onClick={() => void end({ scope: "SELECTED", ids: [device.id] }, `${device.deviceName} is signed out.`)}
              >
                Sign out
              </button>
            )}
          </li>
        ))}
      </ul>
      {others.length > 0 ? (
        <button
          type="button"
          className="button danger"
          disabled={loading}
          onClick={() => void end({ scope: "OTHERS" }, `Signed out everywhere else: ${counted(others)}.`)}
        >
          Sign out everywhere else
        </button>
      ) : (
        <p className="quiet">You are signed in nowhere else.</p>
      )}
    </>
  );
}

function counted(devices: readonly Device[]): string {
  return devices.length === 1 ? "one device" : `${devices.length} devices`;
}

function DeviceIcon({ handheld }: { handheld: boolean }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" className="icon">
      {handheld ? <rect x="7" y="2.5" width="10" height="19" rx="2" /> : <rect x="3" y="4" width="18" height="12" rx="2" />}
      <path d={handheld ? "M11 18.5h2" : "M8 20h8M12 16v4"} />
    </svg>
  );
}
