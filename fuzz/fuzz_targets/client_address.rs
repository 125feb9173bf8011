//! The address of the client: nobody but a trusted proxy has a say, and none but the rightmost untrusted hop is taken.

#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use ipnet::IpNet;
use keywheel::http::fuzzing;
use keywheel_fuzz::{address, header_lines};
use libfuzzer_sys::fuzz_target;

static TRUSTED: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"].map(|network| network.parse().expect("a network")).to_vec()
});

fuzz_target!(|data: &[u8]| {
    let Some((peer, lines)) = address(data) else { return };
    let headers = header_lines("x-forwarded-for", lines);
    let client = fuzzing::client(peer, &headers, &TRUSTED);
    assert_eq!(client, client.to_canonical());
    assert_eq!(fuzzing::client(peer, &headers, &[]), peer.to_canonical(), "nobody is trusted");
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        assert_eq!(client, peer);
        return;
    }
    // Whatever the client wrote into the header itself stands left of what the first proxy saw.
    let mut proxied = headers.clone();
    proxied.append("x-forwarded-for", "198.51.100.7, 10.1.2.3".parse().expect("a header"));
    assert_eq!(fuzzing::client(peer, &proxied, &TRUSTED).to_string(), "198.51.100.7");
});

fn is_trusted(address: IpAddr) -> bool {
    TRUSTED.iter().any(|network| network.contains(&address))
}
