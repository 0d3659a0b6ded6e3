//! The report's page in a browser: headless Chromium, where it is installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nextcart_data::{Part, Product, Purchase, Question};
use nextcart_eval::{
    FnPredictor, PunctuationRule, Report, RunComparison, RunSummary, TrainingFacts, audit, evaluate,
};

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

impl Visit {
    /// What a script wrote down as the document's `data-result`.
    #[track_caller]
    fn result(&self) -> String {
        let start = "data-result=\"";
        let at = self.document.find(start).unwrap_or_else(|| panic!("{}", self.document));
        let result = self.document[at + start.len()..].split('"').next().unwrap();
        result.replace("&lt;", "<").replace("&gt;", ">")
    }
}

/// The colours that a visitor prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Light,
    Dark,
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
        browser.own_requests = browser.visit("about:blank", Scheme::Light).requests;
        Some(browser)
    }

    /// Runs the browser on a page. Nothing outside is reached, whatever is asked for.
    fn run(&self, address: &str, arguments: &[String]) -> Output {
        let output = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", self.folder.path().join("profile").display()))
            .args(arguments)
            .arg(address)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn visit(&self, address: &str, scheme: Scheme) -> Visit {
        let log = self.folder.path().join("net.json");
        let given = ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"];
        let mut arguments = given.map(str::to_owned).to_vec();
        arguments.push(format!("--log-net-log={}", log.display()));
        if scheme == Scheme::Dark {
            arguments.push("--force-dark-mode".to_owned());
        }
        let output = self.run(address, &arguments);
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
        self.visit_in(Scheme::Light, page, script)
    }

    /// The same for a visitor who prefers a colour scheme.
    fn visit_in(&self, scheme: Scheme, page: &str, script: &str) -> Visit {
        let end = page.rfind("</body>").unwrap();
        let page = format!("{}<script>{script}</script>{}", &page[..end], &page[end..]);
        self.visit(&self.keep(&page), scheme)
    }

    /// The page as a PDF.
    fn print(&self, page: &str) -> Vec<u8> {
        let pdf = self.folder.path().join("page.pdf");
        let arguments =
            [format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer".to_owned()];
        self.run(&self.keep(page), &arguments);
        fs::read(pdf).unwrap()
    }

    /// The address of a page that is written to a file.
    fn keep(&self, page: &str) -> String {
        let path = self.folder.path().join("page.html");
        fs::write(&path, page).unwrap();
        format!("file://{}", path.display())
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
        meanings: &[("fine_tuned", HOSTILE[1])],
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
    assert_eq!(visit.result(), expected.join("|"));
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

/// The page of two runs side by side, one of which has a hostile name.
fn compared(folder: &Path) -> String {
    let runs = ["small", "<img src=x onerror=throw(1)>"].map(|name| {
        page(&folder.join(name));
        RunSummary::read(folder.join(name)).unwrap()
    });
    let files = RunComparison::of(runs.into()).unwrap().write(folder.join("compare")).unwrap();
    fs::read_to_string(files.page).unwrap()
}

#[test]
fn runs_side_by_side_stand_alone_too() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let visit = browser.visit_with(&compared(folder.path()), "");
    assert_eq!(visit.console, Vec::<String>::new());
    assert_eq!(visit.requests, BTreeSet::new());
    assert!(visit.document.contains("Scores and costs") && !visit.document.contains("<img"));
}

#[test]
fn both_pages_are_printed() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    for page in [page(&folder.path().join("one")), compared(folder.path())] {
        let pdf = browser.print(&page);
        assert!(pdf.starts_with(b"%PDF-"));
        let marks = pdf.windows(12).filter(|bytes| bytes.starts_with(b"/Type /Page"));
        let pages = marks.filter(|bytes| bytes[11] != b's').count(); // `/Pages` is their list
        assert!((1..30).contains(&pages), "{pages} pages");
    }
}

#[test]
fn both_pages_have_dark_colours_and_controls_that_a_keyboard_reaches() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pages = [
        (page(&folder.path().join("one")), "a button div input pre select summary"),
        (compared(folder.path()), "a div"),
    ];
    for (page, controls) in pages {
        let light = browser.visit_in(Scheme::Light, &page, CONTROLS).result();
        let dark = browser.visit_in(Scheme::Dark, &page, CONTROLS).result();
        let found = format!("controls:{controls}|out of reach:|without a name:|colours:");
        assert_eq!(light, format!("{found}rgb(255, 255, 255) with rgb(26, 29, 35)"));
        assert_eq!(dark, format!("{found}rgb(20, 23, 28) with rgb(232, 235, 240)"));
    }
}

#[test]
fn a_control_that_is_out_of_reach_or_has_no_name_is_noticed() {
    let Some(browser) = Browser::find() else { return };
    let page = "<body><a href=\"#\">Top</a><button tabindex=\"-1\">Go</button><select></select>\
                <div class=\"scroll\">wide</div></body>";
    let result = browser.visit_with(page, CONTROLS).result();
    let expected = "controls:a button div select|out of reach:button div|without a name:select|";
    assert!(result.starts_with(expected), "{result}");
}

/// Goes to whatever can be used, as a keyboard does, and writes down what cannot be reached, what has no name that a
/// screen reader could say, and ground and ink.
const CONTROLS: &str = r##"
const controls = "a[href], button, input, select, textarea, summary, .scroll, [tabindex]";
const shown = Array.from(document.querySelectorAll(controls)).filter((it) => it.checkVisibility());
const reached = (it) => {
  it.focus();
  return it.tabIndex >= 0 && document.activeElement === it;
};
const label = (it) => Array.from(it.labels ?? [], (label) => label.textContent).join("");
const named = (it) => (it.getAttribute("aria-label") || label(it) || it.textContent).trim() !== "";
const tags = (list) => Array.from(new Set(list.map((it) => it.localName))).sort().join(" ");
const { backgroundColor, color } = getComputedStyle(document.body);
document.documentElement.dataset.result = [
  `controls:${tags(shown)}`,
  `out of reach:${tags(shown.filter((it) => !reached(it)))}`,
  `without a name:${tags(shown.filter((it) => !named(it)))}`,
  `colours:${backgroundColor} with ${color}`,
].join("|");
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
