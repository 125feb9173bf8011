//! Password hashes of other systems, made by their own programs: bcryptjs 2.4.3, argon2-cffi, Django, and Node.js.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keywheel::{
    crypto::{
        hasher::{Hasher, HasherSettings, Verdict},
        stored_hash::{self, HashRefused},
    },
    domain::password::Plaintext,
};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::support::{ALICE, BOB, PASSWORD, TestApp, surroundings::SeededEntropy};

const HORSE: &str = "correct horse";

const VECTORS: [(&str, &str); 11] = [
    (HORSE, "$2a$04$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK"),
    ("größe ✓ 🐎", "$2b$05$qGVJWOPnr6STpuFBwPyX3uAwzZ2UhkYM67EXTd6CalTaZGUtijAU6"),
    ("", "$2y$04$wnmjGN/jOrcsW6IKonGho.ofCPRj4ibkemX22/JJImpS4tlIIbiT2"),
    ("be\0fore", "$2a$04$9tAVG6x6woc69X1nHEgAteSn1FyvrkFs0d7q1DNj.oDOQi9riqZxG"),
    (HORSE, "$argon2i$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI"),
    (HORSE, "$argon2d$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$8lhcvhjSIY6fPoLaURksQi2UXOTKBgu3qS4cG5SkmjA"),
    (HORSE, "$argon2id$v=19$m=64,t=2,p=2$MDEyMzQ1Njc4OWFiY2RlZg$ehqGRlXhNY90u1mXokuaGpor9OaG4WSZVb4jCfev4ys"),
    (HORSE, "$argon2i$v=16$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5UIo77LDgbv5O+UdBR1fnnduzjsy4skDtBlCu+8VAzk"),
    (HORSE, "$scrypt$ln=10,r=8,p=2$kDm1PKPpjpVsJVMxRppnNw$b5OhJZ2oEPfLP6ylv0MvcLrZGerieQCJo7wGT74kctg"),
    (HORSE, "$pbkdf2-sha256$i=1000,l=32$kDm1PKPpjpVsJVMxRppnNw$wjSz7PFiWr3ki4kCS13WKSUmC+jgAqk46e3uckd5e2w"),
    (HORSE, "pbkdf2_sha256$2000$Xr8Jk2mQz1aB$+tQIFXFcT4N+zuDgVh+Kz4v4PJiduZSEo/cQW6Nbwl0="),
];

const SHA512: &str = "$pbkdf2-sha512$i=1000$kDm1PKPpjpVsJVMxRppnNw$DNYXVp3xNac9ioLTBkJgWDXJKIsRdtZLTyjNIgZ7N/i46DsTF2Mp6SbKjpmaaNU\
                      EH+q/VoQFS2Jbs7UJYvQ5Eg";

fn hasher() -> Hasher {
    let settings = HasherSettings {
        memory_kib: 8,
        iterations: 1,
        parallelism: 1,
        workers: 1,
        queue: 64,
        deadline: Duration::from_mins(1),
    };
    Hasher::start(&settings, Arc::new(SeededEntropy::default())).unwrap()
}

async fn is_of(hasher: &Hasher, password: &str, hash: &str) -> bool {
    let offered = Plaintext::offered(&password.into()).unwrap();
    let stored = stored_hash::import(hash).unwrap();
    match hasher.verify(offered, stored).await.unwrap() {
        Verdict::Wrong => false,
        Verdict::Right { outdated } => {
            assert!(outdated, "an imported hash is always replaced");
            true
        }
    }
}

#[tokio::test]
async fn every_scheme_knows_its_password_and_no_other() {
    let hasher = hasher();
    for (password, hash) in VECTORS.into_iter().chain([(HORSE, SHA512)]) {
        assert!(is_of(&hasher, password, hash).await, "{hash}");
        // A zero byte is no end: what stands before one is another password.
        for other in [format!("{password} "), "correct hors".to_owned(), "be".to_owned()] {
            assert!(!is_of(&hasher, &other, hash).await, "{hash} {other:?}");
        }
    }
}

/// bcryptjs reads 72 bytes, in the middle of a letter if need be, and nothing behind them.
#[tokio::test]
async fn bcrypt_reads_72_bytes_as_bcryptjs_does() {
    let hasher = hasher();
    let (x, y, z) = ("x".repeat(72), "y".repeat(80), "z".repeat(71));
    let of_72 = "$2a$04$8CPPcO8D39QNETHBAlJJ3u7nErNyLtSfqpyfqgXnN3kgsLF2AdzLm";
    let of_80 = "$2b$04$airhvsGEnyOGOt2uEuJGHOp5rfXpP7/tm5zHWEyJtdpDLiC7VLhWW";
    let in_a_letter = "$2a$04$Ed3EpOKQt4FpVafy5ZqepuZ1yeeOFJhv1GGEY596J31EmrGVu6Fz.";
    for (password, hash, right) in [
        (x.clone(), of_72, true),
        (format!("{x}, and whatever comes behind"), of_72, true),
        (x[1..].to_owned(), of_72, false),
        (y.clone(), of_80, true),
        (y[..72].to_owned(), of_80, true),
        (y[..71].to_owned(), of_80, false),
        (format!("{z}é"), in_a_letter, true),
        (format!("{z}è"), in_a_letter, true),
        (format!("{z}e"), in_a_letter, false),
    ] {
        assert_eq!(is_of(&hasher, &password, hash).await, right, "{password}");
    }
}

#[test]
fn what_could_not_be_verified_at_a_sign_in_is_refused() {
    let bcrypt = |prefix: &str| format!("{prefix}V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK");
    let (salt, output) = ("MDEyMzQ1Njc4OWFiY2RlZg", "+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI");
    let phc = |head: &str| format!("{head}${salt}${output}");
    let refused = |hash: &str| stored_hash::import(hash).err();

    assert_eq!(refused(&bcrypt("$2a$14$")), None);
    for cost in ["15", "31", "99"] {
        assert_eq!(refused(&bcrypt(&format!("$2a${cost}$"))), Some(HashRefused::TooCostly), "{cost}");
    }
    for cost in ["00", "03", "4", "+4", "010"] {
        assert_eq!(refused(&bcrypt(&format!("$2a${cost}$"))), Some(HashRefused::Malformed), "{cost}");
    }
    for costly in [
        "$argon2id$v=19$m=131073,t=2,p=1",
        "$argon2id$v=19$m=64,t=11,p=1",
        "$argon2id$v=19$m=4096,t=2,p=17",
        "$argon2d$v=19$m=4294967295,t=4294967295,p=1",
        "$scrypt$ln=18,r=8,p=1",
        "$scrypt$ln=17,r=8,p=3",
        "$scrypt$ln=63,r=8,p=1",
        "$scrypt$ln=64,r=4294967295,p=4294967295",
        "$scrypt$ln=1,r=1048577,p=1",
        "$pbkdf2-sha256$i=2000001",
        "$pbkdf2-sha512$i=4294967295",
    ] {
        assert_eq!(refused(&phc(costly)), Some(HashRefused::TooCostly), "{costly}");
    }
    for good in [
        "$argon2id$v=19$m=131072,t=10,p=16",
        "$scrypt$ln=17,r=8,p=1",
        "$scrypt$ln=13,r=8,p=10",
        "$pbkdf2-sha256$i=2000000",
    ] {
        assert_eq!(refused(&phc(good)), None, "{good}");
    }
    for malformed in [
        "$argon2id$v=19$m=64,t=2",
        "$argon2id$v=19$m=64,t=2,p=1,keyid=AAAA",
        "$argon2id$v=19$m=1,t=0,p=0",
        "$scrypt$v=1$ln=10,r=8,p=1",
        "$scrypt$ln=0,r=8,p=1",
        "$scrypt$ln=10,r=0,p=1",
        "$scrypt$ln=10,r=8",
        "$pbkdf2-sha256$i=0",
        "$pbkdf2-sha256$i=1000,l=31",
        "$pbkdf2-sha256$l=32",
    ] {
        assert_eq!(refused(&phc(malformed)), Some(HashRefused::Malformed), "{malformed}");
    }
    // Every 256th password would be right for one byte of output, and ten bytes are too few as well.
    assert!(refused(&format!("$argon2id$v=19$m=64,t=2,p=1${salt}$AAAAAAAAAAAAAA")).is_some());
    assert!(refused("pbkdf2_sha256$1000$Xr8Jk2mQz1aB$AA==").is_some());
    for unknown in ["", "plain text", "$1$salt$hash", "$6$rounds=5000$salt$hash", "$2$", "md5$salt$hash"] {
        assert!(refused(unknown).is_some(), "{unknown}");
    }
    assert_eq!(refused(&bcrypt("$2x$04$")), Some(HashRefused::UnknownScheme));
    assert_eq!(refused(&bcrypt("$2$04$")), Some(HashRefused::UnknownScheme));
    assert_eq!(
        refused("$pbkdf2-sha1$i=1000$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        Some(HashRefused::UnknownScheme)
    );
    assert!(refused(&format!("{}{}", phc("$argon2id$v=19$m=64,t=2,p=1"), "A".repeat(300))).is_some());
    // A second spelling of the same salt: spare bits that are set.
    assert!(refused("$2a$04$V4CVysTqFsHs0l3.ybnds/MUBUlk4ouUtq9W/cDbe9vstdej3TqzK").is_some());
    let printed = stored_hash::import(VECTORS[0].1).map(|hash| format!("{hash:?}")).unwrap();
    assert!(!printed.contains("V4CV"), "{printed}");
}

proptest! {
    #[test]
    fn no_text_takes_the_reader_down(hash in "(\\$2[abxy]?\\$|\\$argon2(i|d|id)\\$|\\$scrypt\\$|\\$pbkdf2-sha(256|512)\\$|pbkdf2_sha256\\$)?[a-zA-Z0-9=,$./+\u{e9}-]{0,90}") {
        let _ = stored_hash::import(&hash);
    }

    #[test]
    fn no_change_of_one_letter_takes_the_reader_down(which in 0..VECTORS.len(), at in 0..100_usize, letter in any::<char>()) {
        let mut letters: Vec<char> = VECTORS[which].1.chars().collect();
        let at = at % letters.len();
        letters[at] = letter;
        let _ = stored_hash::import(&letters.into_iter().collect::<String>());
    }
}

/// Whoever can write to the database puts a bomb there. It is not set off, and others do not notice.
#[tokio::test]
async fn a_costly_hash_in_the_database_is_not_even_tried() {
    let app = TestApp::start().await;
    for bomb in [
        "raw:$2b$31$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK",
        "raw:$argon2id$v=19$m=4194304,t=1000,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI",
        "$argon2id$v=19$m=2097152,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI",
        "$argon2id$v=19$m=8,t=4294967295,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+ZM6qIHKWUY4ZEkMSTQpzAefvkLMgPC7fLokalwJpuI",
        "raw:",
        "$2a$04$V4CVysTqFsHs0l3.ybnds.MUBUlk4ouUtq9W/cDbe9vstdej3TqzK",
        "nonsense",
    ] {
        app.sql(&format!("UPDATE users SET password_hash = '{bomb}' WHERE email = '{ALICE}'")).await;
        let begin = Instant::now();
        let reply = app.client().login_reply(json!({ "identifier": ALICE, "password": PASSWORD })).await;
        assert_eq!(reply.code(), "INTERNAL_SERVER_ERROR", "{bomb}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{bomb}");
        app.sign_in(BOB).await;
    }
}

/// What was typed is what the other system hashed; what is kept from now on is the normal form.
#[tokio::test]
async fn a_password_is_compared_as_typed_and_kept_as_our_own() {
    let app = TestApp::start().await;
    // An accent that is a character of its own; made by bcryptjs.
    let (decomposed, composed) = ("cafe\u{301} noir 7", "caf\u{e9} noir 7");
    let hash = bcrypt_of(decomposed);
    app.sql(&format!("UPDATE users SET password_hash = 'raw:{hash}' WHERE email = '{ALICE}'")).await;
    let login = async |password: &str| {
        let input = json!({ "identifier": ALICE, "password": password });
        app.client().login_with(input).await.map(drop)
    };
    let stored = || app.sql_text("SELECT password_hash FROM users WHERE email = 'alice@example.com'");

    assert_eq!(login(composed).await.unwrap_err(), "INVALID_CREDENTIALS");
    assert!(stored().await.starts_with("raw:"), "a wrong password renews nothing");
    login(decomposed).await.unwrap();
    assert!(stored().await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "and a right one does");
    login(composed).await.unwrap();
    login(decomposed).await.unwrap();
}

fn bcrypt_of(password: &str) -> String {
    use base64::{
        Engine, alphabet,
        engine::{GeneralPurpose, general_purpose::NO_PAD},
    };
    let engine = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let key: Vec<u8> = password.bytes().chain([0]).collect();
    let output = bcrypt::bcrypt(4, [7; 16], &key);
    format!("$2a$04${}{}", engine.encode([7; 16]), engine.encode(&output[..23]))
}

#[tokio::test]
async fn an_account_without_a_password_has_no_password() {
    let hasher = hasher();
    let none: SecretString = hasher.of_no_password();
    assert!(none.expose_secret().starts_with("$argon2id$"), "as costly as any other");
    for password in ["", "password", "raw:", none.expose_secret()] {
        let offered = Plaintext::offered(&password.into()).unwrap();
        assert_eq!(hasher.verify(offered, none.clone()).await, Ok(Verdict::Wrong));
    }
}
