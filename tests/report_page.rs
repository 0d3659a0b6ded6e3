//! The report's page in a browser: headless Chromium, where it is installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nextcart_data::{Part, Product, Purchase, Question};
use nextcart_eval::{FnPredictor, PunctuationRule, Report, TrainingFacts, audit, evaluate};

/// Names under which Chromium is found.
const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Titles that would act if they were not escaped.
const HOSTILE: [&str; 4] = [
    "Tea <script>document.title = 'taken'</script>",
    "Honey \" onmouseover=\"alert(1)",
    "<img src=\"http://127.0.0.1:9/x.png\" onerror=\"throw 1\">",
    "</details></section><!-- {{ 7 * 7 }} {% raw %}",
];

/// What a page did in the browser.
struct Visit {
    /// The document after its scripts ran.
    document: String,
    /// What it wrote to the console: errors, warnings and refused loads.
    console: Vec<String>,
    /// Addresses that were asked for, without their queries.
    requests: BTreeSet<String>,
}

/// A browser; `None` with a note if there is none.
struct Browser {
    program: PathBuf,
    folder: tempfile::TempDir,
    own_requests: BTreeSet<String>,
}

impl Browser {
    fn find() -> Option<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let programs = std::env::split_paths(&paths)
            .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
            .find(|program| program.is_file());
        let Some(program) = programs else {
            // Straight to the terminal: what a passing test prints would not be shown.
            let note = b"SKIPPED: the report's page in a browser: Chromium is not installed\n";
            std::io::stderr().write_all(note).unwrap();
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut browser = Self { program, folder, own_requests: BTreeSet::new() };
        // The browser asks for things of its own accord, too.
        browser.own_requests = browser.visit("about:blank").requests;
        Some(browser)
    }

    fn visit(&self, address: &str) -> Visit {
        let log = self.folder.path().join("net.json");
        let path = |name| self.folder.path().join(name).display().to_string();
        let output = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            // Nothing outside is reached, whatever is asked for.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .args(["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", path("profile")))
            .arg(format!("--log-net-log={}", log.display()))
            .arg(address)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8_lossy(&output.stderr);
        let console = lines.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned);
        let requests: BTreeSet<String> = addresses(&fs::read_to_string(&log).unwrap());
        Visit {
            document: String::from_utf8_lossy(&output.stdout).into_owned(),
            console: console.collect(),
            requests: requests.difference(&self.own_requests).cloned().collect(),
        }
    }

    /// Visits a page to whose end a script is added.
    fn visit_with(&self, page: &str, script: &str) -> Visit {
        let path = self.folder.path().join("page.html");
        let end = page.rfind("</body>").unwrap();
        let page = format!("{}<script>{script}</script>{}", &page[..end], &page[end..]);
        fs::write(&path, page).unwrap();
        self.visit(&format!("file://{}", path.display()))
    }
}

/// Addresses in a log of the network, without their queries.
fn addresses(log: &str) -> BTreeSet<String> {
    let fields = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let outside = fields.filter(|address| address.starts_with("http"));
    outside.map(|address| address.split('?').next().unwrap_or_default().to_owned()).collect()
}

/// The page of a report whose titles are hostile.
fn page(folder: &Path) -> String {
    let product = |title: &str| Product {
        item: title.into(),
        title: title.into(),
        brand: None,
        category: vec![],
        price: None,
    };
    let purchase = |title: &str| Purchase { product: product(title), time: None, rating: None };
    let questions: Vec<Question> = (0..40)
        .map(|id| Question {
            id: format!("q{id}"),
            user: format!("u{id}"),
            part: Part::Test,
            time: None,
            history: vec![
                purchase(HOSTILE[id % 4]),
                purchase(if id < 7 { "Oolong" } else { "Rice" }),
            ],
            candidates: HOSTILE.map(product).to_vec(),
            answer: id % 4,
            excluded: vec![],
        })
        .collect();
    let mut tuned = FnPredictor::new("fine_tuned", |q| {
        (0..4).map(|place| if place == q.answer % 3 { 1.0 } else { 0.0 }).collect()
    });
    let mut blind = FnPredictor::new("history_blind", |_| vec![1.0, 0.0, 0.0, 0.5]);
    let evaluations = [
        evaluate(&mut tuned, &questions).unwrap(),
        evaluate(&mut blind, &questions).unwrap(),
        evaluate(&mut PunctuationRule, &questions).unwrap(),
    ];
    let (audit, facts) =
        (audit(&questions).unwrap().into(), TrainingFacts::fit([HOSTILE], HOSTILE));
    let report = Report {
        title: HOSTILE[0],
        notes: &HOSTILE.map(str::to_owned),
        questions: &questions,
        evaluations: &evaluations,
        audit: Some(&audit),
        training: Some(&facts),
        training_loss: &[(0, 3.0), (1, 2.0), (2, 1.5)],
        validation_loss: &[(1, 2.5)],
        prompt: Some(HOSTILE[3]),
    };
    fs::read_to_string(report.write(folder).unwrap().html).unwrap()
}

#[test]
fn the_page_stands_alone_and_its_search_finds() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let visit = browser.visit_with(&page, SEARCH);
    assert_eq!(visit.console, Vec::<String>::new());
    assert_eq!(visit.requests, BTreeSet::new());
    let start = "data-result=\"";
    let at = visit.document.find(start).unwrap_or_else(|| panic!("{}", visit.document));
    let result = visit.document[at + start.len()..].split('"').next().unwrap();
    // 10 of 40 are wrong: those whose answer is the last option.
    let expected = [
        "title:Tea <script>document.title = 'taken'</script>",
        "visible form:true",
        "all:40",
        "oolong:7",
        "OOLONG q1:1",
        "said:1 of 40 answers shown",
        "right:30",
        "nothing:0",
        "reset:40",
        "opened:40",
        "charts with a title:3 of 3",
        "headers without scope:0",
        "images:0",
    ];
    let expected = expected.join("|").replace('<', "&lt;").replace('>', "&gt;");
    assert!(
        result == expected || result == expected.replace("&lt;", "<").replace("&gt;", ">"),
        "{result}"
    );
}

/// Uses the search as a visitor does, and writes down what is seen.
const SEARCH: &str = r##"
const form = document.querySelector("#browser form");
const items = Array.from(document.querySelectorAll("#browser .item"));
const visible = () => items.filter((item) => item.checkVisibility()).length;
const type = (name, text) => {
  form.elements[name].value = text;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  return visible();
};
const seen = [`title:${document.title}`, `visible form:${form.checkVisibility()}`, `all:${visible()}`];
seen.push(`oolong:${type("query", " oolong ")}`);
seen.push(`OOLONG q1:${type("query", "OOLONG q1,")}`);
seen.push(`said:${form.querySelector("output").value}`);
type("query", "");
seen.push(`right:${type("kind", "right")}`);
seen.push(`nothing:${type("query", "no such title")}`);
form.elements.namedItem("query").form.querySelector("[type=reset]").click();
setTimeout(() => {
  seen.push(`reset:${visible()}`);
  form.elements.open.click();
  seen.push(`opened:${items.filter((item) => item.open).length}`);
  const charts = Array.from(document.querySelectorAll("svg[role=img]"));
  seen.push(`charts with a title:${charts.filter((chart) => chart.querySelector("title")).length} of ${charts.length}`);
  seen.push(`headers without scope:${document.querySelectorAll("th:not([scope])").length}`);
  seen.push(`images:${document.querySelectorAll("img").length}`);
  document.documentElement.dataset.result = seen.join("|");
}, 50);
"##;

#[test]
fn a_page_that_asks_for_more_or_fails_is_noticed() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    // What the page may not load is refused before it is asked for.
    let image = "<img src=\"http://127.0.0.1:9/x.png\">";
    let visit = browser.visit_with(&page.replace("<main", &format!("{image}<main")), "");
    assert!(visit.console.iter().any(|line| line.contains("Content Security Policy")));
    assert_eq!(visit.requests, BTreeSet::new());
    // Without its policy it would be.
    let open = page.replace("default-src 'none'", "img-src *").replace("img-src data:", "");
    let visit = browser.visit_with(&open.replace("<main", &format!("{image}<main")), "undefined.x");
    assert!(visit.console.iter().any(|line| line.contains("TypeError")), "{:?}", visit.console);
    assert_eq!(visit.requests, BTreeSet::from(["http://127.0.0.1:9/x.png".to_owned()]));
}
