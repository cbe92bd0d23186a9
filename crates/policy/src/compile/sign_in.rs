//! `[admin.sign_in]`: whose tokens sign people in.

use super::{credential::header_name, jwt, reader::Item};
use crate::model::{Claims, SignIn};

/// What the page calls an issuer that has no name.
const NAME: &str = "single sign-on";
const LONGEST_NAME: usize = 50;

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
    Some(SignIn { name, password, header, jwt: jwt::rules(&table, claims)? })
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
