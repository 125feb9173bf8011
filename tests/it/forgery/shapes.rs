//! Tokens that are spelt in another way, and signatures of another form.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};

use super::{ALGORITHMS, Forge};

/// The order of P-256.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[tokio::test]
async fn a_header_is_an_object_in_which_nothing_is_said_twice() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let (header, claims, kid) = (forge.header().to_string(), forge.claims().to_string(), forge.key.kid());
        let headers = [
            format!("{{\"alg\":\"none\",{}", &header[1..]),
            format!("{},\"alg\":\"{algorithm}\"}}", &header[..header.len() - 1]),
            format!("{},\"kid\":\"{kid}\"}}", &header[..header.len() - 1]),
            format!("{},\"typ\":\"JWT\"}}", &header[..header.len() - 1]),
            format!("[\"at+jwt\",\"{algorithm}\",\"{kid}\"]"),
            format!("{header}{header}"),
            format!("\u{feff}{header}"),
            format!("{},\"pad\":\"{}\"}}", &header[..header.len() - 1], "x".repeat(100_000)),
            format!("{{\"a\":{}1{}}}", "[".repeat(3_000), "]".repeat(3_000)),
            "null".to_owned(),
        ];
        forge.refuses(headers.map(|header| forge.signed(&header, &claims))).await;
    }
}

#[tokio::test]
async fn a_token_has_three_parts_and_one_spelling() {
    for algorithm in ALGORITHMS {
        let forge = Forge::new(algorithm).await;
        let [header, claims, signature] = forge.parts();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut forged = vec![
            String::new(),
            ".".into(),
            "..".into(),
            "...".into(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!(".{claims}.{signature}"),
            format!("{header}..{signature}"),
            format!("{header}.{claims}.{signature}."),
            format!("{header}.{claims}.{signature}.{signature}"),
            format!(".{header}.{claims}.{signature}"),
            format!("{header}.{claims}.{signature}="),
            format!("{header}.{claims}.{signature}=="),
            format!("{header}.{claims}.{signature}A"),
            format!("{header}.{claims}.{signature}\0"),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}.{claims}.{}", URL_SAFE.encode(&bytes) + "="),
            format!("{header}.{claims}.{}", &signature[..signature.len() - 1]),
            format!("{}.{}", "A".repeat(50_000), "B".repeat(50_000)),
            "A".repeat(100_000),
        ];
        // Bits that no byte needs: decoders that do not look take several texts for one signature.
        let last = signature.chars().last().unwrap();
        for other in
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|c| *c != last)
        {
            forged.push(format!("{header}.{claims}.{}{other}", &signature[..signature.len() - 1]));
        }
        if STANDARD.encode(&bytes) != URL_SAFE.encode(&bytes) {
            forged.push(format!("{header}.{claims}.{}", STANDARD.encode(&bytes).trim_end_matches('=')));
        }
        for bit in (0..bytes.len() * 8).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            forged.push(format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(flipped)));
        }
        let resized = [
            &bytes[1..],
            &bytes[..bytes.len() - 1],
            &[0; 0],
            &[&bytes[..], &[0]].concat(),
            &[&[0], &bytes[..]].concat(),
        ]
        .map(|bytes| format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes)));
        forged.extend(resized);
        forged.retain(|token| !token.contains('\0'));
        forge.refuses(forged).await;
    }
}

#[tokio::test]
async fn a_signature_on_a_curve_is_two_numbers_in_range() {
    let forge = Forge::new("ES256").await;
    let [header, claims, signature] = forge.parts();
    let good = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = good.split_at(32);
    let n: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&N[2 * i..2 * i + 2], 16).unwrap()).collect();
    let (zero, mut one, mut above) = ([0; 32], [0; 32], n.clone());
    one[31] = 1;
    above[31] += 1;
    let mut forged = Vec::new();
    for bad in [&zero[..], &one, &n, &above, &[0xff; 32]] {
        forged.extend([[r, bad].concat(), [bad, s].concat(), [bad, bad].concat()]);
    }
    forged.extend([
        [s, r].concat(),
        [&[0], r, &[0], s].concat(),
        [r, &s[..31]].concat(),
        [&r[..31], s].concat(),
        r.to_vec(),
    ]);
    // DER, as in certificates, of the very same numbers.
    let integer = |number: &[u8]| {
        let sign: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
        [&[2, u8::try_from(sign.len() + 32).unwrap()], sign, number].concat()
    };
    let both = [integer(r), integer(s)].concat();
    forged.push([&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat());
    let token = |bytes: &Vec<u8>| format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes));
    forge.refuses(forged.iter().map(token)).await;
}
