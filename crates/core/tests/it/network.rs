//! Whom failures slow.

use keyward_core::network::Subjects;

fn subjects(address: &str) -> (String, Option<String>) {
    let subjects = Subjects::of("link ", address);
    let all: Vec<String> = subjects.all().map(str::to_owned).collect();
    let Subjects { network, site } = subjects;
    assert_eq!(all, [Some(network.clone()), site.clone()].into_iter().flatten().collect::<Vec<_>>());
    (network, site)
}

#[test]
fn failures_are_counted_by_ipv4_address_or_ipv6_network_and_site_each_kind_by_itself() {
    let site = "link 2001:db8:1::/48".to_owned();
    assert_eq!(subjects("2001:db8:1:2::7"), ("link 2001:db8:1:2::/64".into(), Some(site.clone())));
    assert_eq!(subjects("2001:db8:1:3:4::"), ("link 2001:db8:1:3::/64".into(), Some(site)));
    assert_eq!(subjects("192.0.2.1"), ("link 192.0.2.1".into(), None));
    assert_eq!(subjects("::ffff:192.0.2.1"), ("link 192.0.2.1".into(), None));
    assert_eq!(subjects("no address"), ("link no address".into(), None));
    assert_eq!(Subjects::of("", "192.0.2.1").network, "192.0.2.1");
}
