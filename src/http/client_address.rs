//! The address of the client, when proxies stand in between.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Who is at the other end of the connection. The server puts it into each request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// The client's address: the peer's, unless the peer is a proxy that is trusted to say better.
///
/// `X-Forwarded-For` is read from the right, since everything left of what a trusted proxy added may be made up;
/// the first address that is not a trusted proxy is the client. What is no address ends the search at the last proxy that
/// was: a proxy that hides where a request came from vouches for nothing left of it. `Forwarded` and `X-Real-IP` are never
/// looked at: a proxy that does not know them passes on what the client wrote.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("unreadable")).collect();
    let mut client = peer;
    for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Some(address) = parse_hop(hop.trim()) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let address: Option<IpAddr> = text
        .parse()
        .or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_added_counts() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let seen = |peer: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
        };
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, garbage"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1:5555"]), "198.51.100.1");
        assert_eq!(seen("fd00::1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, [::ffff:198.51.100.1]:80, ::ffff:10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.9, 10.0.0.2"]), "10.0.0.9", "the first of our own");
        // The client speaks first: whatever it writes stands left of its address.
        for made_up in
            ["10.0.0.3", "::1", "garbage", "_hidden", "unknown", "", ",,,", "1.1.1.1, 10.0.0.2", "\"x\", '"]
        {
            assert_eq!(seen("10.0.0.1", &[made_up, "198.51.100.1, 10.0.0.2"]), "198.51.100.1", "{made_up}");
        }
        // A hop that is no address: nothing left of it is believed.
        for unknown in [
            "_hidden",
            "unknown",
            "",
            "fe80::1%eth0",
            "198.51.100.1:99999",
            "198.51.100",
            "0198.51.100.1",
            "[[::1]]",
            "198.51.100.1]",
            "for=198.51.100.1",
            "198.51.100.1 198.51.100.2",
            "127.1",
            "0x7f000001",
        ] {
            assert_eq!(seen("10.0.0.1", &["1.1.1.1", unknown, "10.0.0.2"]), "10.0.0.2", "{unknown}");
        }
        let long = "1.1.1.1, ".repeat(10_000) + "198.51.100.1";
        assert_eq!(
            seen("10.0.0.1", &[&long, "10.0.0.2,".repeat(10_000).trim_end_matches(',')]),
            "198.51.100.1"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_no_address() {
        let mut headers = HeaderMap::new();
        headers
            .append("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"198.51.100.1, \xff").unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(client_address(peer, &headers, &trusted), peer);
    }
}
