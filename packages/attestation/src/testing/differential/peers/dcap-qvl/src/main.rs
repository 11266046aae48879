//! Answers questions of compare-verifiers.ts, one JSON object a line, with the crate dcap-qvl.
use dcap_qvl::{verify::QuoteVerifier, QuoteCollateralV3};
use serde_json::{json, Value};
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};

struct Setting {
    collateral: Result<QuoteCollateralV3, String>,
    root: Vec<u8>,
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or("")).unwrap_or_default()
}

fn judge(question: &Value, settings: &HashMap<String, Setting>) -> Value {
    let Some(setting) = settings.get(question["setting"].as_str().unwrap_or("")) else {
        return json!({"verdict": "refused", "reason": "no such setting"});
    };
    let collateral = match &setting.collateral {
        Ok(collateral) => collateral,
        Err(reason) => return json!({"verdict": "refused", "reason": reason}),
    };
    let quote = bytes(&question["evidence"]);
    let now = question["now"].as_u64().unwrap_or(0);
    // Debug mode and service TDs are for policy here, so they are let through.
    let verifier = QuoteVerifier::new(setting.root.clone()).allow_debug(true).allow_service_td(true);
    match catch_unwind(AssertUnwindSafe(|| verifier.verify(&quote, collateral, now))) {
        Ok(Ok(report)) => json!({"verdict": "accepted", "status": report.status, "advisories": report.advisory_ids}),
        Ok(Err(error)) => json!({"verdict": "refused", "reason": format!("{error:#}")}),
        Err(_) => json!({"verdict": "crashed", "reason": "panic"}),
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut settings = HashMap::new();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if let Some(name) = question["define"].as_str() {
            let collateral = serde_json::from_value(question["collateral"].clone()).map_err(|error| error.to_string());
            settings.insert(name.to_owned(), Setting { collateral, root: bytes(&question["root"]) });
            continue;
        }
        writeln!(out, "{}", judge(&question, &settings)).expect("an answer");
        out.flush().expect("an answer");
    }
}
