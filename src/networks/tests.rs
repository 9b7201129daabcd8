//! Tables as people have them, and as they come damaged.

use super::*;

fn table(text: &str) -> Networks {
    Networks::of_tables(vec![Table::read(text.as_bytes().to_vec()).unwrap_or_else(|why| panic!("{why}"))], [])
}

fn told(networks: &Networks, ip: &str) -> String {
    let Network { country, hosting, .. } = networks.of(ip.parse().unwrap()).unwrap();
    let name = networks.of(ip.parse().unwrap()).unwrap().name();
    format!("{} {} {hosting:?}", name.as_deref().unwrap_or("-"), country.as_deref().unwrap_or("-"))
}

#[test]
fn every_form_that_people_have_is_read() {
    for (text, wanted) in [
        ("203.0.113.0/24,Example Net\n", "Example Net - None"),
        ("# mine\n\n203.0.113.0/24,64500,DE,\"Example, Net\"\n", "AS64500 Example, Net DE Some(false)"),
        ("203.0.113.0/24,AS16509,us,AMAZON-02\r\n", "AS16509 AMAZON-02 US Some(true)"),
        ("203.0.112.0,203.0.115.255,DE\n", "- DE None"),
        ("203.0.112.0,203.0.115.255,64500,\"Example, Net\"\n", "AS64500 Example, Net - Some(false)"),
        (
            "203.0.112.0\t203.0.115.255\t64500\tDE\tEXAMPLE-NET Example, Inc.\n",
            "AS64500 EXAMPLE-NET Example, Inc. DE Some(false)",
        ),
        (
            "network,autonomous_system_number,autonomous_system_organization\n203.0.113.0/24,64500,\"Example Net\"\n",
            "AS64500 Example Net - Some(false)",
        ),
        (
            "asn,prefix,hosting,country,name,more\n64500,203.0.113.0/24,true,DE,Example Net,x\n",
            "AS64500 Example Net DE Some(true)",
        ),
    ] {
        assert_eq!(told(&table(text), "203.0.113.7"), wanted, "{text}");
        assert_eq!(told(&table(text), "192.0.2.1"), "- - None", "{text}");
    }
    let six = table("2001:db8::/32,64500,DE,Example Net\n");
    assert_eq!(told(&six, "2001:db8:7::1"), "AS64500 Example Net DE Some(false)");
    assert_eq!(told(&six, "2001:db9::1"), "- - None");
    assert_eq!(Networks::default().of("203.0.113.7".parse().unwrap()), None, "no table, no answer");
}

#[test]
fn unrouted_ranges_of_a_world_list_name_nobody() {
    let list = "0.0.0.0\t0.255.255.255\t0\tNone\tNot routed\n1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n";
    assert_eq!(told(&table(list), "0.1.2.3"), "- - None");
    assert_eq!(told(&table(list), "1.0.0.9"), "AS13335 CLOUDFLARENET US Some(true)");
}

#[test]
fn of_prefixes_inside_each_other_the_smallest_counts_to_its_last_address() {
    let nested =
        table("10.0.0.0/8,outer\n10.1.0.0/16,inner\n10.1.2.0/24,innermost\n10.255.0.0/16,end\n0.0.0.0/0,all\n");
    for (ip, name) in [
        ("10.0.255.255", "outer"),
        ("10.1.0.0", "inner"),
        ("10.1.2.0", "innermost"),
        ("10.1.2.255", "innermost"),
        ("10.1.3.0", "inner"),
        ("10.2.0.0", "outer"),
        ("10.255.255.255", "end"),
        ("11.0.0.0", "all"),
        ("255.255.255.255", "all"),
        ("0.0.0.0", "all"),
    ] {
        assert_eq!(told(&nested, ip), format!("{name} - None"), "{ip}");
    }
    let whole = table("::/0,all\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120,last\n");
    assert_eq!(told(&whole, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "last - None");
}

#[test]
fn what_one_table_does_not_tell_the_next_may_and_the_hash_tells_tables_apart() {
    let read = |text: &str| Table::read(text.as_bytes().to_vec()).unwrap();
    let (asn, country) = ("203.0.113.0/24,Example Net\n", "203.0.112.0,203.0.115.255,DE\n");
    let both = Networks::of_tables(vec![read(asn), read(country)], []);
    assert_eq!(told(&both, "203.0.113.7"), "Example Net DE None");
    let hash = |tables: Vec<Table>, hosting: &[u32]| Networks::of_tables(tables, hosting.to_vec()).hash().cloned();
    let one = hash(vec![read(asn)], &[]);
    assert_eq!(one, hash(vec![read(asn)], &[]));
    assert!(one != hash(vec![read(country)], &[]) && one != hash(vec![read(asn)], &[64_500]));
    let hosted = Networks::of_tables(vec![read("203.0.113.0/24,64500,DE,Example Net\n")], [64_500]);
    assert_eq!(told(&hosted, "203.0.113.7"), "AS64500 Example Net DE Some(true)");
}

#[test]
fn what_is_no_table_is_refused_with_its_line_and_what_to_do() {
    for (text, why) in [
        ("", "has no row"),
        ("# nothing\n", "has no row"),
        ("203.0.113.0/24,a\n203.0.113.0/33,b\n", "line 2: no address prefix"),
        ("203.0.113.0/24,a\nhello\n", "line 2: it has another number of columns"),
        ("203.0.113.9,203.0.113.1,DE\n", "line 1: the range ends before it begins"),
        ("203.0.113.9,2001:db8::1,DE\n", "line 1: the range ends before it begins"),
        ("203.0.113.0/24,many,DE,a\n", "line 1: no number of a network"),
        ("prefix,hosting\n203.0.113.0/24,perhaps\n", "line 2: hosting is neither"),
        ("1.0.0.0,1.0.0.9,DE\n1.0.0.5,1.0.0.20,US\n", "line 2: it overlaps line 1"),
    ] {
        let refused = Table::read(text.as_bytes().to_vec()).err().unwrap().to_string();
        assert!(refused.contains(why), "{text}: {refused}");
    }
    for bytes in [&b"\xff\xfe\x00\x01"[..], b"PK\x03\x04\x80\x81", &[0x1f, 0x8b, 8, 0, 0]] {
        assert!(Table::read(bytes.to_vec()).is_err());
    }
}

#[test]
fn a_gzipped_table_is_unpacked() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"203.0.113.0/24,Example Net\n").unwrap();
    let read = Table::read(packed.finish().unwrap()).unwrap();
    assert_eq!(told(&Networks::of_tables(vec![read], []), "203.0.113.7"), "Example Net - None");
}

/// A database in MaxMind's format (<https://maxmind.github.io/MaxMind-DB/>): one IPv4 prefix with one record.
fn database(kind: &str, prefix: [u8; 3], record: &[u8]) -> Vec<u8> {
    let word = |text: &str| [&[0x40 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let nodes = 24_u32;
    let mut bytes = Vec::new();
    for bit in 0..24 {
        let taken = prefix[bit / 8] >> (7 - bit % 8) & 1;
        // To the next node, and at the last to the record behind the 16 zero bytes.
        let next = if bit == 23 { nodes + 16 } else { u32::try_from(bit).unwrap() + 1 };
        let records = if taken == 0 { [next, nodes] } else { [nodes, next] };
        records.iter().for_each(|record| bytes.extend(&record.to_be_bytes()[1..]));
    }
    bytes.extend([0; 16]);
    bytes.extend(record);
    bytes.extend(MARK);
    let number = |value: u32| [&[0xc4][..], &value.to_be_bytes()].concat();
    let short = |value: u16| [&[0xa2][..], &value.to_be_bytes()].concat();
    let fields: Vec<(&str, Vec<u8>)> = vec![
        ("node_count", number(nodes)),
        ("record_size", short(24)),
        ("ip_version", short(4)),
        ("database_type", word(kind)),
        ("languages", vec![0x00, 0x04]),
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", [&[0x08, 0x02][..], &1_700_000_000_u64.to_be_bytes()].concat()),
        ("description", [&[0xe1][..], &word("en"), &word("x")].concat()),
    ];
    bytes.push(0xe0 | u8::try_from(fields.len()).unwrap());
    for (name, value) in fields {
        bytes.extend(word(name));
        bytes.extend(value);
    }
    bytes
}

/// A map of texts and numbers as such a database writes it.
fn map(fields: &[(&str, Result<&str, u32>)]) -> Vec<u8> {
    let word = |text: &str| {
        let len = text.len();
        let head = if len < 29 {
            vec![0x40 | u8::try_from(len).unwrap()]
        } else {
            vec![0x5d, u8::try_from(len - 29).unwrap()]
        };
        [&head[..], text.as_bytes()].concat()
    };
    let mut bytes = vec![0xe0 | u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        bytes.extend(word(name));
        match value {
            Ok(text) => bytes.extend(word(text)),
            Err(number) => bytes.extend([&[0xc4][..], &number.to_be_bytes()].concat()),
        }
    }
    bytes
}

#[test]
fn maxminds_and_ipinfos_databases_are_read() {
    let asn = map(&[
        ("autonomous_system_number", Err(24_940)),
        ("autonomous_system_organization", Ok("Hetzner Online GmbH")),
    ]);
    let info = map(&[
        ("asn", Ok("AS24940")),
        ("as_name", Ok("Hetzner Online GmbH")),
        ("country_code", Ok("DE")),
        ("country", Ok("Germany")),
    ]);
    for (kind, record, wanted) in [
        ("GeoLite2-ASN", asn, "AS24940 Hetzner Online GmbH - Some(true)"),
        ("ipinfo_lite", info, "AS24940 Hetzner Online GmbH DE Some(true)"),
    ] {
        let bytes = database(kind, [203, 0, 113], &record);
        let networks = Networks::of_tables(vec![Table::read(bytes).unwrap_or_else(|why| panic!("{why}"))], []);
        assert_eq!(told(&networks, "203.0.113.7"), wanted);
        assert_eq!(
            (told(&networks, "203.0.114.7"), told(&networks, "2001:db8::1")),
            ("- - None".into(), "- - None".into())
        );
    }
    let domain = database("GeoIP2-Domain", [203, 0, 113], &map(&[("domain", Ok("example.org"))]));
    assert!(Table::read(domain).err().unwrap().to_string().contains("type GeoIP2-Domain"));
}

#[test]
fn no_damage_to_a_database_makes_it_panic() {
    let asn = map(&[
        ("autonomous_system_number", Err(24_940)),
        ("autonomous_system_organization", Ok("Hetzner Online GmbH")),
    ]);
    let whole = database("GeoLite2-ASN", [203, 0, 113], &asn);
    let try_it = |bytes: Vec<u8>| {
        if let Ok(read) = Table::read(bytes) {
            let networks = Networks::of_tables(vec![read], []);
            ["203.0.113.7", "0.0.0.0", "255.255.255.255", "2001:db8::1"]
                .iter()
                .for_each(|ip| drop(networks.of(ip.parse().unwrap())));
        }
    };
    for place in 0..whole.len() {
        try_it(whole[..place].to_vec());
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            try_it(bytes);
        }
    }
}
