//! `[admin.sign_in]`: whose tokens sign people in.

use super::{
    address::https_url,
    credential::header_name,
    jwt,
    reader::{Item, Table},
    webhook::secret_name,
};
use crate::model::{Claims, CodeFlow, SignIn};

/// What the page calls an issuer that has no name.
const NAME: &str = "single sign-on";
const LONGEST_NAME: usize = 50;
const SCOPES: &str = "openid email";

pub(super) const PASSWORDS: [(&str, bool); 2] = [("on", true), ("off", false)];

/// Reads the section, if there is one.
pub(super) fn read(item: Option<Item<'_>>) -> Option<SignIn> {
    let table = item?.table("[admin.sign_in]")?;
    let item = table.get("password");
    let password = item.as_ref().and_then(|item| item.choice(&PASSWORDS)).unwrap_or(true);
    let name = table.get("name").and_then(|item| name(&item)).unwrap_or(NAME);
    let header = table.get("header").and_then(|item| header(&item));
    if table.get("issuer").is_none() && table.is_known() && !password {
        item?.refuse(
            "[admin.sign_in] password is \"off\", but there is no issuer, so nobody could sign in",
            "add issuer, audience, algorithms and jwks_url, or take `password` out",
        );
        return None;
    }
    let claims = Claims { subject: &["sub"], tenant: None, scopes: None };
    let jwt = jwt::rules(&table, claims);
    let code = code(&table, jwt.map_or(&[], |jwt| jwt.audiences));
    Some(SignIn { name, password, header, code, jwt: jwt? })
}

/// Reads the authorization code flow, if there is one. `audiences` is empty where it cannot be read.
fn code(table: &Table<'_>, audiences: &[&str]) -> Option<CodeFlow> {
    let (authorization_url, token_url) = match ["authorization_url", "token_url"].map(|url| table.get(url)) {
        [Some(authorization), Some(token)] => (https_url(&authorization), https_url(&token)),
        [None, None] => {
            let fields = ["client_id", "client_secret", "scopes"].into_iter();
            for item in fields.filter_map(|field| table.get(field)) {
                item.refuse(
                    format!("{} means nothing without authorization_url and token_url", item.name),
                    "add both, from the issuer's /.well-known/openid-configuration, or take it out",
                );
            }
            return None;
        }
        [one, other] => {
            let there = one.or(other)?;
            there.refuse(
                format!("{} stands alone: sign-in needs authorization_url and token_url", there.name),
                "add the other one, from the issuer's /.well-known/openid-configuration",
            );
            return None;
        }
    };
    let client_id = table.need("client_id", "client_id = \"keyward\"").and_then(|item| {
        let client_id = jwt::filled(&item)?;
        if audiences.is_empty() || audiences.contains(&client_id) {
            return Some(client_id);
        }
        item.refuse(
            format!("{} is {client_id:?}, which is not in audience", item.name),
            "add it to audience: the issuer's tokens for this client name it there",
        );
        None
    });
    let client_secret = match table.get("client_secret") {
        Some(item) => Some(secret_name(&item)?),
        None => None,
    };
    let scopes = table.get("scopes").map_or(Some(SCOPES), |item| scopes(&item));
    Some(CodeFlow {
        authorization_url: authorization_url?,
        token_url: token_url?,
        client_id: client_id?,
        client_secret,
        scopes: scopes?,
    })
}

fn scopes(item: &Item<'_>) -> Option<&'static str> {
    let text = jwt::filled(item)?;
    if text.is_ascii() && text.split(' ').any(|scope| scope == "openid") {
        return Some(text);
    }
    item.refuse(
        format!("{} is {text:?}, without \"openid\" between its spaces, or not ASCII", item.name),
        "write \"openid email\": without openid the issuer gives no ID token",
    );
    None
}

fn name(item: &Item<'_>) -> Option<&'static str> {
    let name = jwt::filled(item)?;
    if name.chars().count() > LONGEST_NAME {
        item.refuse(format!("{} is too long", item.name), format!("write at most {LONGEST_NAME} characters"));
        return None;
    }
    Some(name)
}

fn header(item: &Item<'_>) -> Option<&'static str> {
    let header = header_name(item)?;
    // The gate forwards no such field: a token that an origin sees would let it sign in.
    if header.ends_with("-jwt-assertion") {
        return Some(header);
    }
    item.refuse(
        format!("{} is {header:?}, which can reach origins or has another meaning", item.name),
        "name a header that ends in \"-Jwt-Assertion\", as proxies call theirs: \"Cf-Access-Jwt-Assertion\"",
    );
    None
}
