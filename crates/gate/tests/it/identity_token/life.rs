//! For how long a token is used again, and that none says what is no longer true.

use super::*;

#[test]
fn what_a_key_may_do_is_signed_anew_as_soon_as_it_changes() {
    let (platform, key) = deployment(&unlimited());
    by_key(&platform, *POLICY, "/strict", &key);
    let changed = Record { scopes: vec!["orders:*".into()], version: 2, ..unlimited() };
    publish(&platform, &key, &changed);
    assert_eq!(claims(&by_key(&platform, *POLICY, "/strict", &key))["scope"], "orders:*");
    // And back: an older token is as good as a new one that says the same.
    publish(&platform, &key, &Record { version: 3, ..unlimited() });
    assert_eq!(claims(&by_key(&platform, *POLICY, "/strict", &key))["scope"], "orders:read");
}

#[test]
fn a_strict_route_and_a_strict_key_have_tokens_of_five_seconds() {
    let life = |token: &str| {
        let claims = claims(token);
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    let (platform, key) = deployment(&unlimited());
    assert_eq!(life(&by_key(&platform, *POLICY, "/orders", &key)), 10);
    assert_eq!(life(&by_key(&platform, *POLICY, "/strict", &key)), 5);
    let (platform, key) = deployment(&Record { strict: true, ..unlimited() });
    assert_eq!(life(&by_key(&platform, *POLICY, "/orders", &key)), 5);
    let slow = policy(Span::from_secs(5), Span::from_secs(3));
    assert_eq!(life(&by_key(&deployment(&unlimited()).0, slow, "/orders", &key)), 10, "5 s and twice 2.75 s");
}

#[test]
fn an_isolate_remembers_tokens_up_to_a_bound_and_forgets_the_oldest() {
    let mut remembered = Remembered::default();
    let (life, token) = (Span::from_secs(10), "t".repeat(700));
    let claims = |number: usize| format!("{{\"sub\":\"{number}\",\"x\":\"{}\"}}", "x".repeat(300));
    for number in 0..10_000 {
        remembered.remember(&claims(number), life, NOON, &token);
    }
    let kept = (0..10_000).filter(|number| remembered.token(&claims(*number), life, NOON).is_some());
    let kept: Vec<_> = kept.collect();
    assert!((3_000..4_096).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last(), Some(&9_999));
    // The same again and again is one.
    for _ in 0..10_000 {
        remembered.remember(&claims(9_999), life, NOON, &token);
    }
    assert!(remembered.token(&claims(9_998), life, NOON).is_some());
}

/// What happens in a deployment, one thing after the other.
#[derive(Clone, Debug)]
enum Step {
    /// This many milliseconds pass; if negative, the clock is set back.
    Passes(i64),
    /// The key is edited, and everybody is told.
    Edit,
    /// The key is used, on the strict route or another one.
    Use { strict: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_000_i64).prop_map(Step::Passes),
        1 => (0..70_000_i64).prop_map(Step::Passes),
        1 => (-20_000..0_i64).prop_map(Step::Passes),
        1 => Just(Step::Edit),
        8 => any::<bool>().prop_map(|strict| Step::Use { strict }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Never older than promised: what is sent was signed at most half a life ago, ends within a life of that, is still good
    /// when it arrives, and says what was decided just now. And nothing is signed twice within half a life.
    #[test]
    fn what_is_signed_is_never_older_than_promised(
        (freshness, travel) in prop_oneof![
            (0..60_000_i64).prop_map(|freshness| (freshness, 250)),
            (1_250..60_000_i64, 0..100_i64).prop_map(|(freshness, part)| (freshness, (freshness - 1_250) * part / 100)),
        ],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let travel = travel.min(10_000);
        let policy = policy(Span::from_ms(freshness), Span::from_ms(travel));
        let (platform, key) = deployment(&unlimited());
        let mut present = unlimited();
        let mut signed: BTreeMap<(String, Span), Timestamp> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Passes(ms) => {
                    platform.pass_time(Span::from_ms(ms));
                    if ms < 0 {
                        signed.clear();
                    }
                }
                Step::Edit => {
                    present.version += 1;
                    present.scopes = vec!["orders:read".into(), format!("orders:v{}", present.version)];
                    publish(&platform, &key, &present);
                }
                Step::Use { strict } => {
                    let path = if strict { "/strict" } else { "/orders" };
                    let life = identity_token::life(
                        &policy.realms[0],
                        if strict { Span::ZERO } else { policy.realms[0].freshness },
                    );
                    platform.asked();
                    let token = by_key(&platform, policy, path, &key);
                    let at = platform.clock.now();
                    let claims = claims(&token);
                    let time = |name: &str| Timestamp(claims[name].as_i64().unwrap() * 1_000);
                    let (iat, exp) = (time("iat"), time("exp"));
                    prop_assert!(iat <= at && at - iat < life / 2 + SECOND, "signed at {iat:?}, sent at {at:?}");
                    prop_assert!(exp <= at + life, "ends at {exp:?}");
                    prop_assert!(exp > at + Span::from_ms(travel), "{exp:?} has passed when it arrives");
                    if strict {
                        prop_assert_eq!(&claims["scope"], &present.scopes.join(" "));
                    }
                    let is_signed = platform.asked().iter().any(|call| call == "signature");
                    if is_signed && let Some(before) = signed.insert((claims["scope"].to_string(), life), at) {
                        prop_assert!(at - before >= life / 2, "signed at {before:?} and again at {at:?}");
                    }
                }
            }
        }
    }
}
