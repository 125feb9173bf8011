//! The calls that a schedule led to, made again to the real server: every answer must be the one that the rule gave.

use std::{collections::HashMap, time::Duration};

use serde_json::json;

use super::{
    client::Habits,
    measure::Contender,
    rules::{Answer, FIRST, Presented, Server, Token, keywheel::Keywheel},
    schedule::Schedule,
    world::play,
};
use crate::support::{ALICE, TestApp};

const SCHEDULES: u64 = 12;
/// Of a schedule in which nothing ends the session, so many calls will do.
const MAX_CALLS: usize = 40;

const STRICT: &str = "tokens.race_window_ms = 0\ntokens.retry_window_ms = 0\ntokens.cookie_keep_ms = 0\n";

/// A rule that remembers what it was asked.
struct Recorder {
    rule: Keywheel,
    calls: Vec<Recorded>,
}

struct Recorded {
    at: u64,
    presented: Presented,
    answer: Answer,
}

impl Server for Recorder {
    fn refresh(&mut self, presented: Presented, at: u64) -> Answer {
        let answer = Server::refresh(&mut self.rule, presented, at);
        self.calls.push(Recorded { at, presented, answer });
        answer
    }

    fn access_used(&mut self, _token: Token) {}

    fn would_take(&self, presented: Presented, now: u64) -> bool {
        Server::would_take(&self.rule, presented, now)
    }
}

#[tokio::test]
async fn the_server_answers_as_the_model_with_retry_keys() {
    replay("", "retry keys", Keywheel::by_body).await;
}

#[tokio::test]
async fn the_server_answers_as_the_model_in_the_strict_profile() {
    replay(STRICT, "strict profile", Keywheel::strict).await;
}

#[tokio::test]
async fn the_server_answers_as_the_model_with_cookies() {
    replay("", "cookie", Keywheel::by_cookie).await;
}

#[tokio::test]
async fn the_server_answers_as_the_model_without_retry_keys() {
    replay("", "no retry keys", Keywheel::by_body).await;
}

async fn replay(settings: &str, note: &str, rule: fn() -> Keywheel) {
    let app = TestApp::with(settings).await;
    let mut refused = 0;
    for number in 0..SCHEDULES {
        let thefts = number % 2 == 0;
        let schedule = if thefts { Schedule::with_thief(number) } else { Schedule::honest(number) };
        // Without a lock, so that calls meet.
        let habits = Contender::named(note).habits(false);
        let mut recorder = Recorder { rule: rule(), calls: Vec::new() };
        play(&schedule, habits, &mut recorder);
        let ended = recorder.calls.iter().any(|call| matches!(call.answer, Answer::Refused(_)));
        if !ended {
            recorder.calls.truncate(MAX_CALLS);
        }
        refused += u64::from(ended);
        Session::begin(&app, habits).await.follow(&recorder.calls, &format!("{note}, {number}")).await;
    }
    assert!(refused > 0, "a sample in which no session ends proves little");
}

/// A session at the real server.
struct Session<'a> {
    app: &'a TestApp,
    habits: Habits,
    tokens: HashMap<u64, String>,
    now: u64,
}

impl<'a> Session<'a> {
    async fn begin(app: &'a TestApp, habits: Habits) -> Self {
        let first = if habits.by_cookie {
            let browser = app.browser();
            browser.login(ALICE, "COOKIE").await.unwrap();
            browser.cookie().unwrap()
        } else {
            app.sign_in(ALICE).await.refresh
        };
        Self { app, habits, tokens: HashMap::from([(FIRST.0, first)]), now: 0 }
    }

    async fn follow(mut self, calls: &[Recorded], schedule: &str) {
        for (number, call) in calls.iter().enumerate() {
            self.app.wait(Duration::from_millis(call.at - self.now));
            self.now = call.at;
            let answer = self.refresh(call.presented).await;
            assert_eq!(answer, call.answer, "schedule {schedule}, call {number}: {:?}", call.presented);
        }
    }

    async fn refresh(&mut self, Presented { token, key }: Presented) -> Answer {
        let key = key.map(|key| format!("{:022}", key.0));
        let text = self.tokens[&token.0].clone();
        let answer = if self.habits.by_cookie {
            let browser = self.app.browser();
            browser.put_cookie(&text);
            let answer = browser.refresh_with(json!({ "retryKey": key })).await;
            answer.map(|_| browser.cookie().unwrap())
        } else {
            let input = json!({ "refreshToken": text, "retryKey": key });
            self.app.client().refresh_with(input).await.map(|tokens| tokens.refresh)
        };
        match answer {
            Ok(text) => Answer::Tokens(self.generation_of(text)),
            Err(code) => match code.as_str() {
                "REFRESH_TOKEN_INVALID" => Answer::Refused("REFRESH_TOKEN_INVALID"),
                "REFRESH_TOKEN_REUSED" => Answer::Refused("REFRESH_TOKEN_REUSED"),
                "RATE_LIMITED" => Answer::Later,
                other => panic!("an answer that the model does not know: {other}"),
            },
        }
    }

    /// A token that was not seen before is the next generation.
    fn generation_of(&mut self, text: String) -> Token {
        let known = self.tokens.iter().find(|(_, known)| **known == text).map(|(generation, _)| *generation);
        let next = self.tokens.len() as u64;
        Token(known.unwrap_or_else(|| {
            self.tokens.insert(next, text);
            next
        }))
    }
}
