//! What Linux's control groups leave to a process.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// How a version of control groups tells of memory: files in a group's folder, and lines of its `memory.stat`.
struct Version {
    limit: &'static str,
    used: &'static str,
    /// Pages of files, which are given back when memory gets short. Those of groups within are among them, as they are
    /// in what is used.
    files: [&'static str; 2],
}

/// Where there is no limit, its file has one that nothing reaches.
const FIRST: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: ["total_active_file", "total_inactive_file"],
};

/// Where there is no limit, its file says `max`.
const SECOND: Version = Version {
    limit: "memory.max",
    used: "memory.current",
    files: ["active_file", "inactive_file"],
};

/// Bytes that this process may yet take within the limits of its control groups; `None` where there is no limit.
pub(super) fn room() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    room_in(Path::new("/sys/fs/cgroup"), &groups)
}

/// The same for the groups of a process, `number:controllers:path` a line, whose folders are under `root`.
fn room_in(root: &Path, groups: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let (version, mount) = match controllers {
            "" => (SECOND, root.to_owned()),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (FIRST, root.join("memory"))
            }
            _ => return None,
        };
        // A container may see the path that the host knows, and the group itself in place of the root: what is not
        // there is passed over. Nothing above the root is looked at.
        let parts = Path::new(group).components();
        let inner: PathBuf = parts.filter(|part| matches!(part, Component::Normal(_))).collect();
        let group = mount.join(inner);
        // Groups lie in one another, and each may have a limit.
        let outer = group.ancestors().take_while(|folder| folder.starts_with(&mount));
        outer.filter_map(|folder| version.room(folder)).min()
    };
    groups.lines().filter_map(of_line).min()
}

impl Version {
    /// What a group leaves; `None` if it is not there, or has no limit.
    fn room(&self, group: &Path) -> Option<u64> {
        let number = |name: &str| -> Option<u64> {
            fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
        };
        let (limit, used) = (number(self.limit)?, number(self.used)?);
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let files: u64 = self.files.iter().filter_map(|name| value(&stat, name)).sum();
        Some(limit.saturating_sub(used.saturating_sub(files)))
    }
}

/// A line of `memory.stat`.
fn value(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders under a root with their files; what a process of these groups may yet take.
    #[track_caller]
    fn check(groups: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        assert_eq!(room_in(root.path(), groups), expected);
    }

    #[test]
    fn pages_of_files_are_no_less_memory() {
        let stat = "anon 100\nfile 700\ninactive_file 500\nactive_file 150\nshmem 50";
        let files = [("memory.max", "1000"), ("memory.current", "800"), ("memory.stat", stat)];
        check("0::/\n", &files, Some(1000 - 150));
        check("0::/\n", &files[..2], Some(200));
        check("0::/\n", &[("memory.max", "10"), ("memory.current", "20")], Some(0));
        check("0::/\n", &[("memory.max", "max"), ("memory.current", "20")], None);
        check("0::/\n", &[], None);
        check("", &files, None);
    }

    #[test]
    fn the_tightest_of_a_group_and_those_around_it_counts() {
        let files = [
            ("user/memory.max", "1000"),
            ("user/memory.current", "900"),
            ("user/a:job/memory.max", "500"),
            ("user/a:job/memory.current", "100"),
            ("other/memory.max", "5"),
            ("other/memory.current", "5"),
        ];
        check("0::/user/a:job/inner\n", &files, Some(100));
        check("0::/user/a:job\n", &files[2..], Some(400));
        check("0::/\n", &files, None);
        // What is above the root of a container's groups is not looked at.
        check("0::/../../elsewhere\n", &files, None);
    }

    #[test]
    fn the_first_version_has_a_folder_and_names_of_its_own() {
        let groups = "5:cpu,cpuacct:/job\n4:hugetlb,memory:/job\n1:name=systemd:/job\n0::/job\n";
        let stat = "active_file 1\ninactive_file 1\ntotal_active_file 30\ntotal_inactive_file 40";
        let job = [
            ("memory/job/memory.limit_in_bytes", "1000"),
            ("memory/job/memory.usage_in_bytes", "600"),
            ("memory/job/memory.stat", stat),
        ];
        check(groups, &job, Some(1000 - 530));
        let none = [
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ("memory/memory.usage_in_bytes", "600"),
        ];
        check(groups, &none, Some(9_223_372_036_854_771_712 - 600));
        check(groups, &[&job[..], &none].concat(), Some(470));
        // A container whose own group is the root that it sees.
        let own = [("memory/memory.limit_in_bytes", "70"), none[1]];
        check(groups, &own, Some(0));
    }
}
