//! What is understood, what is not, and that nothing makes the grammar fall over.

use super::tree::{Argument, Command, Value, Word};
use super::*;
use crate::span::Spanned;
use proptest::prelude::*;

fn one(text: &str) -> What {
    let mut script = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    assert_eq!(script.statements.len(), 1, "{text}");
    script.statements.remove(0).what
}

fn command(text: &str) -> Command {
    match one(text) {
        What::Command(command) => command,
        What::Sql(_) => panic!("{text} was read as SQL"),
    }
}

fn values(text: &str) -> Vec<Value> {
    let value = |argument: Argument| match argument {
        Argument::Value(value) => value.it,
        Argument::Parameter { name, .. } => panic!("-{} is no value", name.it),
    };
    command(text).arguments.into_iter().map(value).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn fault(text: &str) -> Fault {
    parse(text).expect_err(text)
}

#[test]
fn quotes_and_escapes_are_powershells() {
    let long = r#"X 'it''s $null `n' "a""b `"c`" `$x $ 5 `t|" service:"pool" \\bos-fs\backup a`,b "" a#b"#;
    let expected = ["it's $null `n", "a\"b \"c\" $x $ 5 \t|", "service:pool", r"\\bos-fs\backup", "a,b", "", "a#b"];
    assert_eq!(values(long), expected.map(text));
    // As word processors have them.
    assert_eq!(values("X \u{201c}a\u{201d} \u{2018}b\u{2019}"), ["a", "b"].map(text));
    let dashed = command("Set\u{2013}CsPersistentChatState \u{2013}PoolState Normal");
    assert_eq!(dashed, command("Set-CsPersistentChatState -PoolState Normal"));
}

#[test]
fn lists_and_tables_may_go_over_several_lines() {
    let list = |items: &[&str]| Value::List(items.iter().map(|i| Spanned::new(text(i), Span::default())).collect());
    assert_eq!(
        values(r#"X "a","b" , 'c' @("d") @() ("e", "f") ("g") $NULL $True"#),
        [list(&["a", "b", "c"]), list(&["d"]), list(&[]), list(&["e", "f"]), text("g"), Value::Null, Value::Bool(true)]
    );
    let over_lines = "X a,\n  b";
    assert_eq!(values(over_lines), [list(&["a", "b"])]);
    let expected = Value::Table(vec![
        (Spanned::new("Add".into(), Span::default()), Spanned::new(list(&["a", "b"]), Span::default())),
        (Spanned::new("Remove".into(), Span::default()), Spanned::new(text("c"), Span::default())),
    ]);
    assert_eq!(values(r#"X @{Add="a","b";Remove="c"}"#), std::slice::from_ref(&expected));
    assert_eq!(values("X @{\n  Add = 'a', # and\n 'b'\r\n  Remove = c; }"), [expected]);
}

#[test]
fn parameters_switches_and_continued_lines() {
    let expected = command("Set-X -Identity 'service:a' -PoolState FailedOver -Confirm:$false -WhatIf");
    assert_eq!(expected.arguments.len(), 6);
    let continued =
        "Set-X -Identity \"service:a\" `\r\n    -PoolState FailedOver <# why #> -Confirm: $false `\n -WhatIf # now";
    assert_eq!(command(continued), expected);
    assert_eq!(
        command("\u{feff}Set-X\u{a0}-A\u{a0}b"),
        command("Set-X -A b"),
        "blanks from web pages, and a mark of the encoding"
    );
}

#[test]
fn statements_end_with_lines_semicolons_and_go() {
    let script = parse("# steps\nexec sp_who2; kill 53;\ngo\nGET-HELP ; -- done\n/* all\nof it */ kill 1 GO").unwrap();
    let shown: Vec<String> = script.statements.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["exec sp_who2", "kill 53", "GET-HELP", "kill 1"]);
    assert_eq!(one("restore log mgc `\r\n  from share"), one("restore log mgc from share"));
    assert_eq!(parse(" \n;;# nothing").unwrap().statements, []);
}

#[test]
fn sql_words() {
    let What::Sql(words) = one("RESTORE database [m]]gc] \"x\" N'it''s' @a=53,dbo.x -- end") else { panic!() };
    let words: Vec<Word> = words.into_iter().map(|w| w.it).collect();
    assert_eq!(
        words,
        [
            Word::Plain("RESTORE".into()),
            Word::Plain("database".into()),
            Word::Name("m]gc".into()),
            Word::Name("x".into()),
            Word::Text("it's".into()),
            Word::Variable("a".into()),
            Word::Sign('='),
            Word::Number("53".into()),
            Word::Sign(','),
            Word::Plain("dbo".into()),
            Word::Sign('.'),
            Word::Plain("x".into()),
        ]
    );
}

#[test]
fn what_is_left_out_is_refused_by_its_name() {
    for (line, column, said) in [
        ("Get-X | Set-X", 7, "joined"),
        ("& Get-X", 1, "called by their names"),
        ("Get-X > file", 7, "redirected"),
        ("Get-X {a}", 7, "Blocks"),
        ("Get-X a(b)", 8, "Brackets"),
        ("$x = 1", 1, "variables"),
        ("Get-X $env:HOME", 7, "variable $env:HOME"),
        ("Get-X \"$x\"", 8, "variable $x"),
        ("Get-X @\"\na\n\"@", 7, "several lines"),
        ("Get-X @a", 7, "@{Name=value}"),
        ("Get-X `  \n -A", 7, "blank stands behind the backtick"),
        ("Get-X 'a'b", 10, "directly behind the value"),
        ("Get-X -A=b", 9, "name of a parameter"),
        ("Get-X.y", 6, "name of a command"),
        ("\"Get-X\"", 1, "cannot begin"),
        ("-WhatIf", 1, "cannot begin with `-WhatIf`"),
        ("Get-X (a,b),c", 7, "list cannot stand in a list"),
        ("Get-X @{a=@{b=c}}", 11, "table cannot stand in a table"),
        ("Get-X @{a=b; A=c}", 14, "twice"),
        ("Get-X @{a b}", 11, "stands behind a"),
        ("Get-X @{=b}", 9, "is no name"),
        ("Get-X ()", 7, "Nothing stands in these brackets"),
        ("Get-X -A:", 7, "no value behind -A:"),
        ("Get-X a)", 8, "`)` cannot stand here"),
        ("Get-X ((((((((((a))))))))))", 16, "8 deep"),
        ("kill 53x", 8, "directly behind `53`"),
        ("kill (53)", 6, "cannot stand in an SQL line"),
        ("Get-X \u{1b}[2J", 7, "control character"),
    ] {
        let fault = fault(line);
        assert!(fault.what.contains(said), "{line}: {fault}");
        assert_eq!(fault.place(line).column, column, "{line}: {fault}");
        assert!(!fault.incomplete, "{line}");
    }
}

#[test]
fn a_text_that_only_ends_too_early_is_told_apart() {
    for line in [
        "X `",
        "X 'a",
        "X \"a",
        "X @{",
        "X @{a",
        "X @{a=",
        "X @{a=b",
        "X @(",
        "X (a",
        "X a,",
        "X <# a",
        "exec sp_x 'a",
        "kill [a",
        "X \"a`",
        "/* a",
    ] {
        assert!(fault(line).incomplete, "{line}");
    }
}

#[test]
fn there_are_limits() {
    assert!(fault(&"x".repeat(LONGEST_TEXT + 1)).what.contains("bytes"));
    assert!(fault(&format!("X {}", "a".repeat(LONGEST_STATEMENT))).what.contains("longer than"));
    assert!(fault(&format!("X {}", "a ".repeat(MOST_PARTS + 1))).what.contains("words"));
    assert!(fault(&format!("X {}", "a,".repeat(MOST_PARTS + 1))).what.contains("items"));
    assert!(fault(&"go;X;".repeat(MOST_STATEMENTS + 1)).what.contains("statements"));
    assert!(fault(&format!("kill {}", "1 ".repeat(MOST_PARTS + 1))).what.contains("words"));
    assert!(fault(&format!("X {}", "(".repeat(100_000))).what.contains("deep"));
}

/// Pieces of which lines are made, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "Set-CsPersistentChatState",
            "exec",
            "sp_who2",
            "kill",
            "restore",
            "database",
            "log",
            "mgc",
            "with",
            "go",
            "-Identity",
            "-PoolState",
            ":",
            "$null",
            "$true",
            "$x",
            "@{",
            "}",
            "@(",
            "(",
            ")",
            "=",
            ",",
            ";",
            "\n",
            "\r\n",
            "`\n",
            "`",
            " ",
            "  ",
            "\t",
            "\"",
            "'",
            "''",
            "[",
            "]",
            "#",
            "<#",
            "#>",
            "--",
            "/*",
            "*/",
            "\\\\a\\b",
            "N'",
            "@a",
            "53",
            "\u{2013}",
            "\u{201c}",
            "\u{2019}",
            "ü",
            "|",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9.:-]{1,8}",
        any::<char>().prop_map(|c| c.to_string()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]{0,12}".prop_map(Value::Text),
            "[a-z0-9.:/\\\\-]{1,8}".prop_map(Value::Text),
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
        ]
    };
    let spanned = |v: Value| Spanned::new(v, Span::default());
    let list = move || {
        proptest::collection::vec(scalar(), 0..4).prop_map(move |v| Value::List(v.into_iter().map(spanned).collect()))
    };
    let entries = proptest::collection::btree_map("[A-Za-z ']{1,6}", prop_oneof![scalar(), list()], 0..3);
    let table = entries.prop_filter_map("names that differ by their case alone", move |entries| {
        let mut keys: Vec<String> = entries.keys().map(|k| k.to_ascii_lowercase()).collect();
        keys.sort();
        keys.dedup();
        let same = keys.len() == entries.len();
        same.then(|| {
            Value::Table(entries.into_iter().map(|(k, v)| (Spanned::new(k, Span::default()), spanned(v))).collect())
        })
    });
    prop_oneof![4 => scalar(), 1 => list(), 1 => table]
}

fn argument() -> impl Strategy<Value = Argument> {
    let spanned = |v: Value| Spanned::new(v, Span::default());
    prop_oneof![
        ("[A-Za-z]{1,8}", proptest::option::of(value())).prop_map(move |(name, value)| Argument::Parameter {
            name: Spanned::new(name, Span::default()),
            value: value.map(spanned)
        }),
        value().prop_map(move |v| Argument::Value(spanned(v))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_typed_is_read_or_refused_at_a_place_in_it(pieces in proptest::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        match parse(&text) {
            Ok(script) => {
                let shown = script.to_string();
                let again = parse(&shown).map_err(|f| TestCaseError::fail(format!("{shown}: {f}")))?;
                let whats = |script: &Script| script.statements.iter().map(|s| s.what.clone()).collect::<Vec<_>>();
                prop_assert_eq!(whats(&again), whats(&script), "{}", shown);
                for statement in &script.statements {
                    prop_assert!(!statement.span.of(&text).is_empty());
                    // Made ready or refused; never more.
                    for attended in [false, true] {
                        let _ = crate::line::ready(statement, false, attended).map_err(|f| f.excerpt(&text));
                    }
                }
            }
            Err(fault) => {
                prop_assert!(fault.span.start <= text.len());
                let _ = (fault.to_string(), fault.excerpt(&text));
            }
        }
        let _ = crate::complete::complete(&text, text.len() / 2);
        let _ = crate::complete::complete(&text, text.len());
    }

    #[test]
    fn what_is_written_again_reads_the_same(arguments in proptest::collection::vec(argument(), 0..6)) {
        let command = Command { name: Spanned::new("Set-Thing".into(), Span::default()), arguments };
        let shown = command.to_string();
        let script = parse(&shown).map_err(|f| TestCaseError::fail(format!("{shown}: {f}")))?;
        prop_assert_eq!(script.statements.len(), 1, "{}", &shown);
        prop_assert_eq!(&script.statements[0].what, &What::Command(command), "{}", shown);
    }
}
