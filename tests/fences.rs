//! Fenced blocks of Markdown pages.

/// A block between fences.
#[derive(Debug)]
pub(crate) struct Block {
    /// Line of its opening fence, from 1.
    pub(crate) line: usize,
    /// The first word behind the opening fence.
    pub(crate) language: String,
    /// What else stands there.
    pub(crate) note: String,
    /// What it holds, its last line ended.
    pub(crate) text: String,
}

/// All fenced blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(info), false) => {
                let (language, note) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
                let (language, note) = (language.to_owned(), note.trim().to_owned());
                blocks.push(Block { line: index + 1, language, note, text: String::new() });
                open = true;
            }
            (Some(info), true) => {
                assert_eq!(info, "", "line {}: the block before is not closed", index + 1);
                open = false;
            }
            (None, true) => blocks.last_mut().unwrap().text += &format!("{line}\n"),
            (None, false) => {}
        }
    }
    assert!(!open, "the last block is not closed");
    blocks
}

#[test]
fn blocks_are_told_apart() {
    let found = blocks("text\n\n```sh gpu, long\na\n\nb\n```\n```\nc\n```\n");
    let fields = |block: &Block| (block.line, block.language.clone(), block.note.clone());
    assert_eq!(fields(&found[0]), (3, "sh".to_owned(), "gpu, long".to_owned()));
    assert_eq!(found[0].text, "a\n\nb\n");
    assert_eq!(fields(&found[1]), (8, String::new(), String::new()));
    assert_eq!((found[1].text.as_str(), found.len()), ("c\n", 2));
}
