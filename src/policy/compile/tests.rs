//! Policy folders, sound and broken.

use super::*;
use crate::identity::AccountType;
use crate::policy::signup_form::Captcha;
use crate::policy::{Access, FieldKind};

fn around() -> Surroundings {
    Surroundings {
        hosts: vec!["app.example.com".to_owned(), "iot.acme.example".to_owned()],
        providers: vec![ProviderId::new("corp")],
        sends_letters: Some(true),
        captchas: Some(vec!["turnstile".to_owned()]),
        has_roles: Some(true),
        hand_offs: Some(vec![HandOff::Headers, HandOff::Assertion]),
        hand_off_fields: vec![HeaderName::from_static("x-user")],
        api_issuers: Some(vec![ProviderId::new("corp")]),
    }
}

fn compiled(files: &[(&str, &str)]) -> Result<Policy, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut problems = Problems::default();
    let policy = compile(folder.path(), &around(), &mut problems);
    let said = problems.to_string();
    policy.ok_or(said.replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn an_empty_folder_is_the_shipped_policy() {
    let policy = compiled(&[]).unwrap();
    assert!(policy.rules.all().is_empty());
    assert!(policy.onboarding.create_customer_on_first_login);
    assert_eq!(
        policy.onboarding.account_types,
        [AccountType::Business, AccountType::Personal]
    );
    let names: Vec<&str> = policy
        .forms
        .default
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(names, ["name", "company", "phone", "country"]);
    assert_eq!(policy.forms.default.fields[2].kind, FieldKind::Phone);
    assert!(policy.limits.login.is_some());
    assert!(policy.limits.forwarded_per_user.is_none());
}

#[test]
fn the_shipped_folder_is_what_an_empty_one_means() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut problems = Problems::default();
    let shipped = compile(&folder, &Surroundings::default(), &mut problems).unwrap();
    assert_eq!(problems.to_string(), "");
    assert_eq!(shipped.version, compiled(&[]).unwrap().version);
}

#[test]
fn the_examples_compile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut problems = Problems::default();
        let path = entry.unwrap().path();
        assert!(
            compile(&path, &Surroundings::default(), &mut problems).is_some(),
            "{problems}"
        );
        assert_eq!(problems.to_string(), "");
        count += 1;
    }
    assert!(count > 1);
}

#[test]
fn what_a_form_says_besides_is_checked() {
    let form = r#"
notify = { email = "nobody", language = "fr" }
customer_title = "form."
[brand]
background = "grey"
links = [{ label = "Imprint", url = "http://acme.example" }]
[platform]
menu = " "
roles = ["Reader", ""]
[[field]]
name = "tax_code"
when = "form.country =="
[[field]]
name = "asked"
"#;
    let verified = "[customer_verification]\nenabled = true\nfields = [\"phon\", \"email\"]\n";
    let files = [("signup/default.toml", form), ("onboarding.toml", verified)];
    let said = compiled(&files).unwrap_err();
    for sentence in [
        "signup/default.toml:2:10: error: `nobody` is not an e-mail address",
        "signup/default.toml:2:10: error: letters are not written in `fr`",
        "signup/default.toml:3:18: error: the expression does not compile",
        "signup/default.toml:5:14: error: `grey` is not a colour",
        "signup/default.toml:6:37: error: `http://acme.example` is not an address",
        "signup/default.toml:8:8: error: the name is empty",
        "signup/default.toml:9:20: error: the name is empty",
        "signup/default.toml:12:8: error: the expression does not compile",
        "signup/default.toml:14:8: error: the registration page uses `asked` itself",
        "onboarding.toml:3:11: error: there is no field `phon`",
        "onboarding.toml:3:19: error: an e-mail address is not confirmed by a form",
    ] {
        assert!(said.contains(sentence), "{sentence}\n{said}");
    }
}

#[test]
fn people_are_promised_no_letter_that_is_not_sent_and_are_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[self_registration]\nenabled = true\n[approval]\naccount_types = ['business']\n\
                [hooks]\nstart = true\nsubmit = false\n";
    std::fs::write(folder.path().join("onboarding.toml"), text).unwrap();
    let around = Surroundings {
        sends_letters: Some(false),
        ..Surroundings::default()
    };
    let mut problems = Problems::default();
    assert!(compile(folder.path(), &around, &mut problems).is_none());
    let said = problems.to_string();
    for sentence in [
        "onboarding.toml:2:11: error: this asks people by letter, and no letters are sent",
        "onboarding.toml:4:18: warning: nobody is told that somebody waits for approval",
        "onboarding.toml:7:10: error: whoever sends the form without having asked for it",
    ] {
        assert!(said.contains(sentence), "{sentence}\n{said}");
    }
}

#[test]
fn conditions_speak_of_fields_that_the_form_has() {
    let form = |condition: &str| {
        let text = format!(
            "[[field]]\nname = \"country\"\n[[field]]\nname = \"tax_code\"\n\
             required_when = \"form.{condition} == 'IT'\"\n"
        );
        compiled(&[("signup/default.toml", &text)]).err()
    };
    for there in ["country", "account_type", "email", "tax_code"] {
        assert_eq!(form(there), None);
    }
    let said = form("contry").unwrap();
    let sentence = "signup/default.toml:5:17: error: the form has no field `contry`";
    assert!(said.contains(sentence), "{said}");
    assert!(said.contains("write `form.country`"), "{said}");
}

#[test]
fn data_to_confirm_is_named() {
    let warned = |fields: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("[customer_verification]\nenabled = true\n{fields}");
        std::fs::write(folder.path().join("onboarding.toml"), text).unwrap();
        let mut problems = Problems::default();
        assert!(compile(folder.path(), &Surroundings::default(), &mut problems).is_some());
        problems.to_string()
    };
    assert!(warned("").contains("warning: `customer_verification` is enabled, and has no fields"));
    assert_eq!(warned("fields = [\"phone\"]"), "");
}

#[test]
fn a_form_names_its_captcha() {
    let named = |text: &str| {
        let policy = compiled(&[("signup/default.toml", text)]);
        policy.map(|policy| policy.forms.default.captcha.clone())
    };
    assert_eq!(named(""), Ok(Captcha::ProofOfWork));
    assert_eq!(named("captcha = \"none\""), Ok(Captcha::None));
    let proof_of_work = named("captcha = \"proof-of-work\"");
    assert_eq!(proof_of_work, Ok(Captcha::ProofOfWork));
    let turnstile = named("captcha = \"turnstile\"");
    assert_eq!(turnstile, Ok(Captcha::Of("turnstile".to_owned())));
    for (name, advice) in [
        ("turnstyle", "write `turnstile`"),
        ("proof_of_work", "write `proof-of-work`"),
        (
            "hcaptcha",
            "add a `[[captcha]]` with `id = \"hcaptcha\"` to vestibule.toml",
        ),
    ] {
        let said = named(&format!("captcha = \"{name}\"")).unwrap_err();
        let place = format!("signup/default.toml:1:11: error: there is no captcha `{name}`");
        assert!(said.contains(&place) && said.contains(advice), "{said}");
    }
}

#[test]
fn the_version_is_that_of_all_files() {
    let version = |files: &[(&str, &str)]| compiled(files).unwrap().version;
    let before = version(&[]);
    assert_eq!(before, version(&[]));
    assert_ne!(before, version(&[("access.toml", "# another")]));
    assert_ne!(before, version(&[("agreements/terms.en.md", "# Terms")]));
}

#[test]
fn rules_limits_and_forms_come_together() {
    let policy = compiled(&[
        (
            "access.toml",
            "[[rule]]\nname='d'\npath='/d/**'\naccess='public'\nlimit='slow'\nmax_body='1MiB'",
        ),
        (
            "limits.toml",
            "[limit.slow]\nrate='10/s'\nburst=20\nper='user'\n[apply]\nlogin='none'\nuser='slow'",
        ),
        ("agreements/terms.en.md", "# The terms\nBe kind."),
        (
            "agreements/terms.de.md",
            "# Die Bedingungen\nFreundlich sein.",
        ),
        (
            "signup/acme.svg",
            "<svg xmlns='http://www.w3.org/2000/svg'/>",
        ),
        (
            "signup/acme.toml",
            r##"
            host = "iot.acme.example"
            title = { en = "Welcome", de = "Willkommen", it = "Benvenuti" }
            agreements = ["terms"]
            brand = { name = "Acme", logo = "acme.svg", colour = "#0b5fff" }
            [[field]]
            name = "size"
            kind = "select"
            label = "Size"
            options = [{ value = "s", label = "Small" }, { value = "l" }]
            prefill = { cel = "identity.size" }
        "##,
        ),
    ])
    .unwrap();
    let rule = policy.rules.choose("app.example.com", "/d/x", "GET");
    assert_eq!(
        (rule.access, rule.max_body),
        (Access::Public, Some(1 << 20))
    );
    assert_eq!(rule.limit.as_ref().unwrap().burst, 20);
    assert!(policy.limits.login.is_none());
    let form = policy.forms.of("iot.acme.example");
    assert_eq!(form.agreements[0].texts["de"].title, "Die Bedingungen");
    assert_eq!(
        form.brand.logo.as_ref().unwrap().media_type,
        "image/svg+xml"
    );
    assert_eq!(form.fields[0].label["it"], "Size");
    let other = policy.forms.of("app.example.com");
    assert!(other.agreements.is_empty());
    assert_eq!(other.brand.name, "app.example.com");
}

#[test]
fn all_that_is_wrong_with_a_folder_is_said_at_once() {
    let said = compiled(&[
        ("acces.toml", ""),
        (
            "access.toml",
            r"
            [[rule]]
            name = 'a'
            path = '/a//b'
            methods = ['get']
            limit = 'carful'
            [[rule]]
            name = 'a'
            path = 'b/**'
            require = '1 +'
            [[rule]]
            name = 'c'
            path = '/c/*'
            host = 'other.example.com'
            [[rule]]
            name = 'd'
            path = '/auth/login'
            [[rule]]
            name = 'e'
            path = '/%7euser'
            [[rule]]
            name = 'f'
            path = '/f'
            methods = ['GET', 'POST']
            [[rule]]
            name = 'g'
            path = '/f'
            methods = ['POST']
            [[rule]]
            name = 'h'
            path = '/**'
            access = 'public'
        ",
        ),
        (
            "limits.toml",
            "[limit.careful]\nrate='0/s'\n[limit.x]\nrate='1/s'\nburst=0\n[apply]\nlogin='logn'",
        ),
        (
            "onboarding.toml",
            r"
            [sso]
            account_types = ['business', 'partner', 'business']
            recheck_account_every = 'often'
            [[sso.known_customer]]
            claim = 'x'
            domain = 'y'
            then = 'join'
            [[sso.known_customer]]
            domain = '@y'
            provider = 'crop'
            customer = '1'
            then = 'deny'
            [[sso.exclude]]
            when = 'identity.'
            message = ''
        ",
        ),
        ("agreements/terms.md", "x"),
        ("agreements/Terms.fr.md", ""),
        (
            "signup/acme.toml",
            r"
            title = { fr = 'x' }
            agreements = ['privacy']
            brand = { logo = 'acme.gif', colour = 'blue', support = 'help' }
            [[field]]
            name = 'Size'
            kind = 'select'
            [[field]]
            name = 'account_type'
            max_length = 9000
            autocomplete = 'On'
            prefill = { cel = '1 +' }
        ",
        ),
        ("signup/default.toml", "host = 'app.example.com'"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(said);
}

#[test]
fn what_a_condition_can_never_read_or_call_is_a_mistake() {
    for (condition, mistake) in [
        ("request.methd == 'GET'", "`methd`\n    write `method`"),
        ("account.role == 'x'", "`role`\n    it can speak of"),
        ("identit.email == 'x'", "`identit`\n    write `identity`"),
        (
            "identity.email.endWith('x')",
            "there is no function `endWith`; write `endsWith`",
        ),
    ] {
        let rule = format!("[[rule]]\nname='a'\npath='/a'\nrequire=\"{condition}\"\n");
        let said = compiled(&[("access.toml", &rule)]).unwrap_err();
        assert!(said.starts_with("access.toml:4:"), "{said}");
        assert!(said.contains(mistake), "{condition}: {said}");
    }
}

#[test]
fn what_follows_claims_is_compiled() {
    let text = "[[attribute]]\nfield = 'given_name'\nfrom = 'given_name'\nwrite = 'always'\n\
                [[attribute]]\nfield = 'family_name'\nfrom = 'family_name'\nwrite = 'always'\n\
                [[attribute]]\nfield = 'language'\nfrom = 'locale'\nwrite = 'once'\n\
                [[attribute]]\nfield = 'badge'\nkind = 'text'\nfrom = { cel = 'identity.b' }\n\
                write = 'always'\n[[attribute]]\nfield = 'phone'\nfrom = 'phone_number'\n\
                [[role]]\nrole = 'operator'\nwhen = \"'ops' in identity.groups\"\n";
    let policy = compiled(&[("onboarding.toml", text)]).unwrap();
    let attributes = &policy.onboarding.attributes;
    let slots = attributes.attributes.iter().map(|one| one.to.slot());
    assert_eq!(
        slots.collect::<Vec<_>>(),
        ["name", "name", "language", "badge"]
    );
    assert_eq!(attributes.roles[0].claims, [["groups"]]);
}

#[test]
fn mistakes_in_what_follows_claims_are_found() {
    let text = "[[attribute]]\nfield = 'phon'\nfrom = 'phone_number'\n\
                [[attribute]]\nfield = 'email'\nfrom = 'email'\nwrite = 'always'\n\
                [[attribute]]\nfield = 'company'\nfrom = 'org'\n\
                [[attribute]]\nfield = 'name'\nfrom = 'name'\nprovider = 'other'\n\
                [[attribute]]\nfield = 'given_name'\nfrom = { cel = 'claims.given_name' }\n\
                [[attribute]]\nfield = 'name'\nfrom = 'name'\n\
                [[role]]\nrole = 'operator'\nwhen = \"'ops' in identity.groups\"\n\
                [[role]]\nrole = 'operator'\nwhen = \"'groups' in identity\"\n";
    let said = compiled(&[("onboarding.toml", text)]).unwrap_err();
    for sentence in [
        "onboarding.toml:2:9: error: no sign-up form has a field `phon`\n    write `phone`",
        "onboarding.toml:5:9: error: an e-mail address is never written at a sign-in",
        "onboarding.toml:9:9: error: `company` is not the user's alone",
        "onboarding.toml:14:12: error: there is no identity provider `other`",
        "onboarding.toml:17:8: error: nothing here is called `claims`",
        "onboarding.toml:19:9: error: `name` and `name` are written to one place",
        "onboarding.toml:25:8: error: the role `operator` has two conditions",
        "onboarding.toml:26:8: error: a role follows claims that its condition names",
    ] {
        assert!(said.contains(sentence), "{sentence}\n{said}");
    }
}

#[test]
fn a_platform_without_roles_is_given_none() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[role]]\nrole = 'operator'\nwhen = \"'ops' in identity.groups\"\n";
    std::fs::write(folder.path().join("onboarding.toml"), text).unwrap();
    let around = Surroundings {
        has_roles: Some(false),
        ..Surroundings::default()
    };
    let mut problems = Problems::default();
    assert!(compile(folder.path(), &around, &mut problems).is_none());
    let sentence = "onboarding.toml:2:8: error: the platform has no roles";
    assert!(problems.to_string().contains(sentence), "{problems}");
}

#[test]
fn a_rule_chooses_among_the_hand_offs_that_there_are() {
    let rule = |chosen: &str| format!("[[rule]]\nname='r'\npath='/r'\nhand_off=[{chosen}]\n");
    let text = rule("'assertion'");
    let policy = compiled(&[("access.toml", &text)]).unwrap();
    let chosen = policy.rules.choose("app.example.com", "/r", "GET");
    assert!(chosen.hands_off(HandOff::Assertion) && !chosen.hands_off(HandOff::Headers));
    let text = rule("'thingsboard'");
    let said = compiled(&[("access.toml", &text)]).unwrap_err();
    let sentence = "access.toml:4:10: error: no upstream has the hand-off `thingsboard`";
    assert!(said.contains(sentence), "{said}");
}

#[test]
fn only_rules_for_programs_say_which_tokens_they_want() {
    let policy = compiled(&[(
        "access.toml",
        r#"
        [[rule]]
        name = "api"
        path = "/api/**"
        access = "api"
        scopes = ["read", "things:write"]
        account = "optional"
        issuers = ["corp"]
    "#,
    )])
    .unwrap();
    let rule = policy.rules.choose("app.example.com", "/api/x", "GET");
    assert_eq!(rule.access, Access::Api);
    assert_eq!(rule.tokens.scopes, ["read", "things:write"]);
    assert!(!rule.tokens.needs_account);
    assert!(rule.tokens.trusts(&ProviderId::new("corp")));
    assert!(!rule.tokens.trusts(&ProviderId::new("other")));
    for (keys, told) in [
        ("scopes = ['read']", "only rules with `access = \"api\"`"),
        ("account = 'optional'", "only rules with `access = \"api\"`"),
        (
            "access = 'api'\nissuers = ['other']",
            "no `[[api_issuer]]` with the id `other`",
        ),
        ("access = 'api'\nscopes = ['a b']", "that is no scope"),
    ] {
        let text = format!("[[rule]]\nname = 'a'\npath = '/a'\n{keys}\n");
        let said = compiled(&[("access.toml", &text)]).unwrap_err();
        assert!(said.contains(told), "{keys}: {said}");
    }
}

/// `access.toml` of rules, each with a name, a path and what else it says, one line for each.
fn rules(all: &[(&str, &str, &str)]) -> String {
    let line = |(name, path, further): &(&str, &str, &str)| {
        format!("[[rule]]\nname='{name}'\npath='{path}'\n{further}\n")
    };
    all.iter().map(line).collect()
}

/// What `check` says about rules.
fn said_of(all: &[(&str, &str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("access.toml"), rules(all)).unwrap();
    let mut problems = Problems::default();
    let _ = compile(folder.path(), &around(), &mut problems);
    let said = problems.to_string();
    said.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_rule_that_never_decides_is_found() {
    let said = said_of(&[
        (
            "reads",
            "/a/**",
            "methods=['GET','HEAD']\nhost='app.example.com'",
        ),
        ("app", "/a/**", "host='app.example.com'"),
        ("iot", "/a/**", "host='iot.acme.example'"),
        ("head", "/a/**", "methods=['HEAD']\nhost='app.example.com'"),
        ("rest", "/a/**", ""),
        ("posts", "/a/**", "methods=['POST']"),
        ("below", "/a/b/**", ""),
        ("twin", "/a/b/**", ""),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn rules_of_which_none_is_more_specific_are_told_apart() {
    let said = said_of(&[
        ("some", "/a", "methods=['PUT','POST']"),
        ("other", "/a", "methods=['POST','PATCH']"),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_rule_that_loses_requests_to_one_that_asks_for_less_is_found() {
    let said = said_of(&[
        (
            "deleting",
            "/api/**",
            "methods=['DELETE']\nrequire=\"'ops' in identity.groups\"",
        ),
        ("things", "/api/things/**", ""),
        (
            "health",
            "/api/health",
            "access='public'\nmethods=['GET','HEAD']",
        ),
        ("host", "/**", "host='iot.acme.example'"),
        ("assets", "/assets/**", "access='public'"),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn nested_rules_are_nobodys_mistake() {
    let said = said_of(&[
        ("all", "/**", "require='identity.staff'"),
        ("public", "/public/**", "access='public'"),
        (
            "reads",
            "/api/**",
            "methods=['GET','HEAD']\naccess='public'",
        ),
        ("admin", "/api/admin/**", "require='identity.admin'"),
    ]);
    assert_eq!(said, "");
}

#[test]
fn a_rule_that_refuses_all_that_it_is_for_is_found() {
    let said = said_of(&[("slash", "/a%2Fb", ""), ("parameters", "/a;b", "")]);
    assert_eq!(said.matches("refuses what it is for").count(), 2, "{said}");
}

#[test]
fn a_rule_sets_fields_and_takes_them_out_but_not_the_gateways() {
    let text = "headers.request = { X-Tenant = 'acme' }\nheaders.response = { Server = '' }";
    let policy = compiled(&[("access.toml", &rules(&[("a", "/a", text)]))]).unwrap();
    let headers = &policy.rules.choose("app.example.com", "/a", "GET").headers;
    assert_eq!(headers.request[0].1.as_ref().unwrap(), "acme");
    assert_eq!(headers.response[0], (http::header::SERVER, None));
    for field in [
        "Host",
        "X-Vestibule-User",
        "X_User",
        "Cookie",
        "Content-Length",
        "a b",
    ] {
        let text = format!("headers.request = {{ '{field}' = 'x' }}");
        let said = compiled(&[("access.toml", &rules(&[("a", "/a", &text)]))]).unwrap_err();
        assert!(said.contains("access.toml:4:"), "{field}: {said}");
    }
    let text = "headers.response = { Set-Cookie = 'a=b', X-A = \"a\\nb\" }";
    let said = compiled(&[("access.toml", &rules(&[("a", "/a", text)]))]).unwrap_err();
    assert_eq!(said.matches("error").count(), 2, "{said}");
}

#[test]
fn a_step_up_says_what_it_wants_of_those_who_are_signed_in() {
    let text = rules(&[("a", "/a", "step_up={acr=['mfa','phr'], max_age='5m'}")]);
    let policy = compiled(&[("access.toml", &text)]).unwrap();
    let wanted = policy.rules.named("a").unwrap().step_up.clone().unwrap();
    assert_eq!(wanted.acr, ["mfa", "phr"]);
    assert_eq!(wanted.max_age, Some(std::time::Duration::from_mins(5)));
    for (keys, told) in [
        (
            "access='public'\nstep_up={acr='mfa'}",
            "this rule is public",
        ),
        ("step_up={}", "`step_up` says nothing"),
        ("step_up={acr='a b'}", "no authentication context class"),
        ("step_up={acr='a\"b'}", "no authentication context class"),
        ("step_up={max_age='soon'}", "span of time"),
    ] {
        let text = rules(&[("a", "/a", keys)]);
        let said = compiled(&[("access.toml", &text)]).unwrap_err();
        assert!(said.contains(told), "{keys}: {said}");
    }
}
