//! What the Registry stores and hands out, pinned: a change here must not make what is stored
//! unreadable, or what was handed out invalid. Hashes and MACs were computed with another tool
//! (Python's hashlib and hmac).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use keyward_core::sql::Sql;
use keyward_registry::{
    admin_call::AdminCall,
    audit::canonical::canonical,
    cursor,
    error::ApiError,
    ids, schema,
    sessions::{code::Attempt, token},
    task::Task,
};
use keyward_testing::{Seeded, secrets};
use keyward_testing::{
    authenticator::{Algorithm, SoftPasskey},
    registry_fixture::RegistryFixture,
};
use serde_json::json;

const TENANT: &str = "00000000-0000-4000-8000-000000000000";

#[test]
fn sessions_are_found_by_this_hash() {
    assert_eq!(
        token::token_hash("kws_abc"),
        "55b0c2acc1dcff741c79d2754cc10ee4e29f715e347382f4ef07e3266d10f9e9"
    );
}

/// A build and the one before it answer calls of the same attempt.
#[test]
fn an_attempt_to_sign_in_by_the_issuer_is_derived_from_its_cookie_like_this() {
    let attempt = Attempt::of("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA");
    assert_eq!(attempt.state, "3YBbUh-qY_uMeTI6bUSKq9jPakfCr1sywIBrUjBeVf4");
    assert_eq!(attempt.nonce, "560HobKnxr_bCXa_zXClcoX10KwtL-hTs_O2Li8hFQA");
    assert_eq!(attempt.verifier, "LXfW8N-LMKeshamJyNyJK3kwXBfRHnGg7UfqCUSdiGo");
    assert_eq!(attempt.challenge(), "b6FjET5kvlpyMUDNU2qFXznTkCziRziQO9useX47yJA");
}

#[test]
fn cursors_that_were_handed_out_stay_good() {
    assert_eq!(cursor::encode(&secrets(), "keys", TENANT, &42.into()), "AAAAAAAAACpSRhEz9ZO05KwjOQhfI4BY");
    assert_eq!(
        cursor::decode(&secrets(), "keys", TENANT, "AAAAAAAAACpSRhEz9ZO05KwjOQhfI4BY"),
        Some(42.into())
    );
    assert_eq!(cursor::decode(&secrets(), "audit", TENANT, "AAAAAAAAACpSRhEz9ZO05KwjOQhfI4BY"), None);
}

#[test]
fn a_cursor_of_a_sorted_list_holds_the_value_too() {
    let position = cursor::Position { number: 42, value: "käse".into() };
    let encoded = cursor::encode(&secrets(), "keys name", TENANT, &position);
    assert_eq!(encoded, "AAAAAAAAACprw6RzZWy3d6ZbBljC5R_K64aYvYw");
    assert_eq!(cursor::decode(&secrets(), "keys name", TENANT, &encoded), Some(position));
    assert_eq!(cursor::decode(&secrets(), "keys", TENANT, &encoded), None);
}

#[test]
fn cursors_outlive_a_change_of_the_secret() {
    let old = cursor::encode(&secrets(), "keys", TENANT, &42.into());
    let both =
        keyward_core::secret::Secrets::new("new-secret", Some("test-secret-of-the-deployment-1234567890"));
    assert_eq!(cursor::decode(&both, "keys", TENANT, &old), Some(42.into()));
}

#[test]
fn ids_have_128_random_bits() {
    assert_eq!(ids::id("key_", &mut Seeded::new(1)), "key_zxgNOFBJwZ7IUuCFLBuqc7");
    assert_eq!(ids::uuid(&mut Seeded::new(1)), "fa96999e-fb2d-490b-a2b3-a0e377596e57");
}

#[test]
fn a_record_is_published_as_this_json() {
    let (fixture, owner) = RegistryFixture::open();
    let fields = json!({
        "allowedIps": ["10.0.0.0/8"], "expiresAt": "2040-01-01T00:00:00Z", "rateLimit": {"perDay": 9},
        "kind": "publishable", "allowedOrigins": ["https://a.example"]
    });
    fixture.key(&owner, fields);
    let published = fixture.kv.borrow().values().next().unwrap().clone();
    assert_eq!(
        published,
        r#"{"v":"1","id":"key_EWjQ0dQxFOOp43qhoncis2","realm":"default","tenant":{"id":"ff8e66ae-c606-47be-a7aa-6c363d94dde8","code":"5JSWJE","status":"ACTIVE","plan":null},"kind":"publishable","mode":"live","status":"ACTIVE","version":1,"expiresAt":2208988800000,"scopes":["orders:read"],"allowedIps":["10.0.0.0/8"],"allowedOrigins":["https://a.example"],"limits":{"perMinute":600,"perDay":9}}"#
    );
}

#[test]
fn the_first_audit_entry_hashes_to_this() {
    let (fixture, _) = RegistryFixture::open();
    let row = fixture.db.run("SELECT entry, hash FROM audit WHERE seq = 1", &[]).unwrap().remove(0);
    assert_eq!(
        row["entry"],
        r#"{"action":"setup","actor":{"email":"owner@example.com","id":"mem_rNPTRAhuBAXyW9zrmDJW92","type":"member"},"address":"192.0.2.1","after":{"createdAt":"2030-03-17T17:46:40.000Z","email":"owner@example.com","id":"mem_rNPTRAhuBAXyW9zrmDJW92","role":"owner","tenantId":"ff8e66ae-c606-47be-a7aa-6c363d94dde8"},"before":null,"previousHash":"0000000000000000000000000000000000000000000000000000000000000000","requestId":"req-1","seq":1,"target":"mem_rNPTRAhuBAXyW9zrmDJW92","tenantId":"ff8e66ae-c606-47be-a7aa-6c363d94dde8","time":"2030-03-17T17:46:40.000Z"}"#
    );
    assert_eq!(row["hash"], "ee4b247249ce0acd2a0713fe7ad25a26e3113b4afd7188111507d212ccd8d396");
}

#[test]
fn an_idempotent_create_computes_this_key() {
    let (fixture, owner) = RegistryFixture::open();
    let mut call = fixture.call("POST", &owner, "/api-keys", json!({"name": "n", "scopes": ["orders:read"]}));
    call.idempotency_key = Some("order-1".into());
    let key = fixture.send(call).plaintext();
    assert_eq!(key, "kw_live_1Ypx2y131SRDu8APe2b8M2pUUvJ19Qt2uyBP");
}

#[test]
fn a_password_is_stored_as_algorithm_iterations_salt_and_key() {
    let (fixture, _) = RegistryFixture::open();
    let stored = fixture.db.run("SELECT password FROM members", &[]).unwrap().remove(0);
    assert_eq!(
        stored["password"],
        "pbkdf2-sha256:100000:we7yvTEc-rLXJ9xuxX8lCg:Y5O5lGnRhhkaCRjvq97VnP0HbI0cKVASMPUuRQmPQfE"
    );
}

#[test]
fn a_session_token_ends_with_this_check() {
    let (_, owner) = RegistryFixture::open();
    assert_eq!(owner, "kws_R2QgX7eNnZnsc8XCtJDxT6hRkhVRNB8rJYju4U7JVQQ");
}

#[test]
fn the_token_of_a_one_time_link_ends_with_this_check_and_is_found_by_its_hash() {
    let token = token::new_invitation(&secrets(), &mut Seeded::new(1));
    assert_eq!(token, "kwi_-paZnvstCQtis6Djd1luV9LJ5CjokCHaY05J-NmM__o");
    assert!(token::is_our_invitation(&secrets(), &token));
    assert!(!token::is_our_token(&secrets(), &token.replace("kwi_", "kws_")), "it is no session");
    assert_eq!(token::token_hash(&token), "3aacf7b301c1b98ebc5a2b99e41f1a40baeaadaa943de6c3f8885e673bee70a2");
}

#[test]
fn a_challenge_of_a_passkey_is_sealed_like_this() {
    let (fixture, _) = RegistryFixture::open();
    let options = fixture.post("", "/session/passkey/options", json!({})).body;
    assert_eq!(options["publicKey"]["challenge"], "WuC7xElUftyj828Qxe-RjQAAAbpg18vggGBeTnob1EeHtoVO-1yqfA");
}

#[test]
fn a_passkey_is_stored_like_this_whatever_its_algorithm() {
    let stored = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256].map(|algorithm| {
        let (fixture, owner) = RegistryFixture::open();
        crate::passkeys::add(&fixture, &owner, &mut SoftPasskey::new(algorithm, 1));
        fixture.db.run("SELECT * FROM passkeys", &[]).unwrap().remove(0)
    });
    assert_eq!(
        stored[0].to_string(),
        r#"{"counter":0,"created_at":1900000000000,"credential":"AQEBAQEBAQEBAQEBAQEBAQ","host":"gate.example","id":"pky_qJa1ijdDUWuzQh8yOmJBi1","kept":0,"key":"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY\",\"y\":\"PE91OlW_AdxT9sCwx-7ni0DG_30lqW4igrmJzvccFEo\"}","member_id":"mem_rNPTRAhuBAXyW9zrmDJW92","name":"laptop","number":1,"synced":0,"tenant_id":"ff8e66ae-c606-47be-a7aa-6c363d94dde8","used_at":null}"#
    );
    assert_eq!(
        stored[1]["key"],
        r#"{"kty":"OKP","crv":"Ed25519","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w"}"#
    );
    assert_eq!(
        stored[2]["key"],
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#
    );
}

fn hash(text: &str) -> String {
    keyward_core::key::hex(&<sha2::Sha256 as sha2::Digest>::digest(text))
}

#[test]
fn released_additions_are_never_edited() {
    let hashes: Vec<(&str, String)> =
        schema::ADDITIONS.iter().map(|addition| (addition.name, hash(addition.statements))).collect();
    let released = [
        ("idempotency of a key", "3e0af78a5ee03b913be15bfaa55112e4ecc69e534cf46ab0e3e0cafcb68828ff"),
        ("admin scopes of a key", "02c765b277231152a29734b673f97f842436b4a94f27351ca1143e9d65e814c2"),
        ("keys that were not shown yet", "35cb14076a4ab81d5941fd13025e9b3f255cbe11a6cc5380511b591bda5d6335"),
        ("usage taken back", "8839e7661874b69a451d911e98688ec2f2498840466ae761aacf92fa4ecc1be3"),
        ("guesses", "55c70e3a621fdd3db837df650d499e1d44ff4d1ebd7106887c69a5fcb80fe3c5"),
        ("sessions are listed", "a2dda1ddabd81c0f0adb1981850446758aa4cc0db073b9daa8975725953fd4fa"),
        ("usage by hour", "350485d02d5a5698ffe1e37840f2ecc5e997b2b1e83edd4fd52495dd6f99e907"),
        ("usage by day", "0e4a981082a341d9ff881551f4355e043d21c6a4dafd9e970caf263794cf44c6"),
        ("audit checkpoints", "4236e159209975fbf59d57048b6863612a34a53cc3fa51350b3b311b9d823459"),
        ("quotas", "4de0c746058143daf0d774e3be990a36a8d54e3dfb56e46987123fa8f630f27c"),
        ("ballast", "2e59e13c6063e0e3b8571ceb59c47fdb27b93cb1481e229233eafd4da503b4ff"),
        ("audit by day", "d52e7d9aefdaf986c9b2f72b3d9d806d9d4fe5723a8e4080ff2b2dd7924638f3"),
        ("what a tenant holds", "17fa81411c27936b3a976b43cf320c862f58d4587eab67edb6f6c502b4205fc8"),
        ("counts of a tenant", "baff6b9ea625b160608a5454afc8d3336fd87ab65fcc9a87f92ca7579fd70945"),
        (
            "keys that are paused, filtered and sorted",
            "eeb92260a585a399a93146e3c00de8a5c11dcbef1f62b0f5de945d8f2e80d360",
        ),
        ("audit by actor", "62149efe8ffc329a799e8b4b224414d7de00dcb803111c4842acbe4110d44ac6"),
        ("audit by action and object", "963c4bcef25eceb00087ae40bc2ebc4736d69de9adb9a15d6acbadce0fcf65c0"),
        ("invitations", "ff161c2587ccb9c6ea262d687a8ff60aebc6ba29b6b2cd95c376637325ac92d3"),
        ("usage of tenants", "a561a83d0540e7a31761e5c6cfbf71b8efc4a6f533f9ef124a0b33b9909ce43b"),
        ("latest refusals", "03f29198bead317896b3b6619c8bf4d1aa5cb2389fedfc47ffa6272f07c49d6d"),
        (
            "keys near a limit, and who revoked them",
            "a4105aae48d33b980160a8ef4971ba9d3d3839762506ca3aec1b8e21cb9d0953",
        ),
        (
            "where keys were last used from",
            "912b7b2c96f9614e9fffac77cdb9294de57ebe2601548ca5b547f2f661c3317f",
        ),
        ("passkeys", "39dc30ec6c22d7e99bcca75248748277d5c9d2d1dfea4e5091f4514f0af7ee19"),
        ("keys that were imported", "9fa9c347d1334a0764b43ebc6881c6b15fa03c8ea26868d907fb2c13b5c03466"),
        (
            "tokens that signed somebody in",
            "c5ba5ce88cb846f277112245cc85a15951c77111104ca5904a796840d5f5ae27",
        ),
        ("keys are searched in an index", "bb1583322ac1ea7138ac3ce8e19c91d0c8e62458a00943e18fdc9e9f8219f562"),
        ("what has changed", "a071f426fad1bbfd40a32b37e1dc4fed19050e06a84dec5a06885a3b6e8e2ee1"),
        ("usage of routes", "033e587748c3ed9c514082e8aeb43d09f4422f00623d0a594403e77e7e62bcd6"),
        ("limits of every window", "1ca5051d54869aca4757a6dee3166fe76113d0fde8b20a9ccc902f2158371d4a"),
        ("limits of requests in flight", "22f4ca351c9db1c0811760eba8ab7b83783bb096f887611d49dbdd21304907dd"),
        ("limits of a whole tenant", "d9d3a2f6c429fe6950f0d23bfff43dbae3a3cec7619818e107a484bee0e2733b"),
        (
            "metadata that origins are told",
            "399c1af2eba421c8a257f9b2fb71c8420961c3adebd49f5206a2e614b620d643",
        ),
        ("events", "51e251d21480b18c1f08e0fd597162fdc120a5b6787ac622fa50a85015bf149f"),
        ("metrics", "382bd30aa370d4afa617cb99a28b5ded48d34c9451de943e96978c5d8a73010d"),
        ("restores", "3a84cc4f0ebe2518e9796214047d269d86a296ddcd8b306ce05f5c3190e1f7fe"),
        ("home", "34a808c1e48f533c74cc75fad1c209fbbf8d4f2b1ba40fc10aa07e8f2d0715a1"),
        (
            "marks of events go with their key",
            "1bfb48fc70d80557cdaaf3b18648dc4469bc4cd2ff8d7ee9843a836ebe8cf87e",
        ),
    ];
    let released = released.map(|(name, hash)| (name, hash.to_owned()));
    assert_eq!(hashes, released);
}

#[test]
fn released_migrations_are_never_edited_and_none_is_added() {
    let hashes: Vec<String> = schema::MIGRATIONS.iter().map(|text| hash(text)).collect();
    let released = [
        "615114fc0198e1f6cb8075759084e2e947d8c6e0ec4144c5c6770847c329b086",
        "e8cc0d2fbf5246b57ff93e886d0a54de6baa5196a185467b255400b297561390",
        "b41762eff19dad66cc3b39c2583c342c9c742450226855f5fd63a408ce869b94",
        "4d8a13cb85ffffe6a3064b6fcb28bcb5040564a033c17b50dfac21eb17f5fabb",
        "af1fd3e05bcac1f57bb804e316cec95e3e485b545e57bcd7938212e09592ebe0",
        "181fa388eb30d5b4adb23b5ef5f1135fb845e1916d308278454ebbdebe647187",
    ];
    assert_eq!(hashes, released);
}

#[test]
fn a_refusal_is_problem_details() {
    let reply = ApiError::field("name", "is required").reply("req-1");
    assert_eq!(
        reply.body,
        r#"{"code":"VALIDATION_FAILED","detail":"name: is required.","error":{"code":"VALIDATION_FAILED","message":"name: is required.","type":"invalid_request_error"},"errors":[{"field":"name","message":"is required"}],"requestId":"req-1","status":400,"title":"Bad Request","type":"urn:keyward:error:validation_failed"}"#
    );
}

#[test]
fn entries_are_hashed_with_their_members_in_order_and_without_spaces() {
    let entry = json!({"b": 1, "a": {"d": [true, null], "c": "\u{e9}\n"}});
    assert_eq!(canonical(&entry), "{\"a\":{\"c\":\"\u{e9}\\n\",\"d\":[true,null]},\"b\":1}");
}

#[test]
fn a_call_from_the_build_before_is_read_and_one_whose_credential_is_not_whole_is_not() {
    let mut sent = RegistryFixture::empty().call("GET", "", "/session", json!(null));
    assert_eq!(serde_json::to_value(&sent).unwrap()["origin"], "https://gate.example");
    sent.origin = None;
    assert_eq!(serde_json::to_value(&sent).unwrap().get("origin"), None);
    let call = |credential: &str| {
        let rest = r#""ifMatch":null,"idempotencyKey":null,"body":"","address":"192.0.2.1","requestId":"r""#;
        let text =
            format!(r#"{{"method":"GET","path":"/session","query":"","credential":{credential},{rest}}}"#);
        keyward_json::from_str::<AdminCall>(&text)
            .map(|call| serde_json::to_value(call).unwrap()["credential"].clone())
    };
    for whole in [
        json!({"type": "none"}),
        json!({"type": "session", "token": "kws_1"}),
        json!({"type": "setUp", "token": "t"}),
        json!({"type": "scanner"}),
        json!({"type": "key", "record": keyward_testing::record()}),
    ] {
        assert_eq!(call(&whole.to_string()).unwrap(), whole);
    }
    for not_whole in [
        r#"{"type":"session"}"#,
        r#"{"type":"setUp"}"#,
        r#"{"type":"key","token":"t"}"#,
        r#"{"type":"x"}"#,
        "{}",
    ] {
        assert!(call(not_whole).is_err(), "{not_whole}");
    }
}

#[test]
fn what_the_gate_found_of_a_token_crosses_to_the_registry_and_is_left_out_where_there_is_none() {
    let (fixture, _) = RegistryFixture::open();
    let mut call = fixture.call("POST", "", "/session", json!({}));
    let sent = |call: &AdminCall| serde_json::to_value(call).unwrap();
    assert!(sent(&call).get("token").is_none());
    for token in [
        json!({"identity": null}),
        json!({"identity": {"email": "a@example.com", "authenticatedAt": 1, "expiresAt": 2, "hash": "h"}}),
    ] {
        call.token = Some(serde_json::from_value(token.clone()).unwrap());
        let text = sent(&call).to_string();
        let read = keyward_json::from_str::<AdminCall>(&text).unwrap();
        assert_eq!((&sent(&read)["token"], read.token), (&token, call.token.clone()));
    }
}

#[test]
fn each_word_that_the_registry_logs_stands_in_the_page_on_the_log() {
    let page = include_str!("../../../../docs/log.md");
    for task in Task::ALL {
        assert!(page.contains(&format!("\n| `{}` |", task.name())), "{task:?}");
    }
}
