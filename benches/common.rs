//! What several benches share: what the command line says, and the memory of their process.
#![allow(dead_code, reason = "not every bench needs all of it")]

/// What stands on the command line: names and, behind most of them, a value.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.all_behind(name)?.first().cloned()
    }

    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.value(name).map(|value| value.parse().expect("a number"))
    }

    /// Everything behind a name.
    pub(crate) fn all_behind(&self, name: &str) -> Option<&[String]> {
        let place = self.0.iter().position(|argument| argument == name)?;
        Some(&self.0[place + 1..])
    }
}

/// A line of Linux's account of this process, such as `VmHWM:` for the most memory that it held, in MB.
pub(crate) fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("kilobytes") * 1024.0 / 1e6
}
