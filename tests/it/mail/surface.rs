//! What an operator and a developer see of mail: words, pages, the mail of `dev`.

use super::*;

#[tokio::test]
async fn the_pages_that_links_lead_to_are_there_unless_links_lead_elsewhere() {
    let app = TestApp::mailing("").await;
    for (path, kind) in [
        ("/verify-email", "text/html"),
        ("/reset-password", "text/html"),
        ("/mail-pages/page.css", "text/css"),
        ("/mail-pages/page.js", "text/javascript"),
        ("/mail-pages/verify-email.js", "text/javascript"),
        ("/mail-pages/reset-password.js", "text/javascript"),
    ] {
        let reply = app.client().get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").starts_with(kind), "{path}");
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert!(
            !reply.text.contains("http://") && !reply.text.contains("https://"),
            "it loads nothing from elsewhere"
        );
    }
    let app = TestApp::mailing(
        "mail.verify_url = \"https://app.example.com/v\"\nmail.reset_url = \"https://app.example.com/r\"",
    )
    .await;
    for path in ["/verify-email", "/reset-password", "/mail-pages/page.js"] {
        assert_eq!(app.client().get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_mail_of_dev_is_read_on_this_machine_only() {
    let app = TestApp::mailing("").await;
    post_reset(&app, ALICE).await;
    app.deliver_mail().await;
    let message = only(app.mailbox().empty());
    let outbox = std::sync::Arc::new(keywheel::app::Outbox::new(Box::new(|_| {})));
    keywheel::mail::Mailer::send(&*outbox, &message).await.unwrap();
    let mut surroundings = app.surroundings();
    surroundings.outbox = Some(outbox);
    let config = crate::support::config(
        app.database(),
        "public_url = \"http://dev.localhost:4000\"\ntrusted_proxies = \"10.0.0.1\"",
    );
    let dev = keywheel::app::App::build(&config, surroundings).await.unwrap();
    let client = |host: &str| crate::support::Client::new(dev.router().clone()).header("host", host);

    let list = client("localhost:4000").accepting("application/json").get("/dev/mail").await;
    let list: Value = serde_json::from_str(&list.text).unwrap();
    assert_eq!(list[0]["to"], ALICE);
    assert_eq!(list[0]["links"], json!([link(&message)]));
    let page = client("127.0.0.1:4000").get("/dev/mail").await;
    assert!(page.text.contains("Set a new password") && page.text.contains(&message.id.to_string()));
    let one = client("dev.localhost:4000").get(&format!("/dev/mail/{}", message.id)).await;
    assert!(one.text.contains(&format!("href=\"{}\"", link(&message))), "{}", one.text);
    assert!(
        !one.text.contains("<b>curl") && one.header("content-security-policy").contains("default-src 'none'")
    );
    let html = client("localhost").get(&format!("/dev/mail/{}/html", message.id)).await;
    let policy = html.header("content-security-policy");
    assert!(
        policy.contains("sandbox") && policy.contains("default-src 'none'") && !policy.contains("script"),
        "{policy}"
    );

    for path in ["/dev/mail".to_owned(), format!("/dev/mail/{}", message.id)] {
        for stranger in [
            client("evil.example"),
            client("localhost.evil.example"),
            client("localhost").peer("203.0.113.9"),
            client("localhost").peer("10.0.0.1").header("x-forwarded-for", "127.0.0.1"),
        ] {
            assert_eq!(stranger.get(&path).await.status, 404, "{path}");
        }
    }
    assert_eq!(client("localhost").get("/dev/mail/ltr_00000000000000000000000000000000").await.status, 404);
}

#[tokio::test]
async fn an_operator_chooses_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("reset-password.txt", "Subject: {{ product }}: neues Passwort\n\nHallo {{ email }},\n{{ link }}\n");
    let settings = format!("mail.templates = \"{}\"\nmail.product = \"Käsewelt\"", folder.path().display());
    let app = TestApp::mailing(&settings).await;
    post_reset(&app, ALICE).await;
    app.deliver_mail().await;
    let message = only(app.mailbox().empty());
    assert_eq!(message.subject, "Käsewelt: neues Passwort");
    assert_eq!(message.text, format!("Hallo {ALICE},\n{}\n", link(&message)));
    assert!(message.html.contains("Set a new password") && message.html.contains("Käsewelt"));

    write("reset-password.txt", "Subject: x\n\nno link");
    let (error, _) = app.restart_with(&settings).await.map(drop).unwrap_err();
    assert_eq!(format!("{error:#}"), "mail.templates: reset-password.txt: {{ link }} is missing");
}
