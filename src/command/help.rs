//! The reply of `… HELP`, which all families of subcommands share.

use super::Call;

impl Call<'_, '_> {
    /// Answers a HELP subcommand: a heading, the family's own lines, and the lines about HELP itself.
    ///
    /// A line of explanation begins with four blanks.
    pub fn write_help(&mut self, lines: &[&str]) {
        let family = self.row.name.split('|').next().unwrap_or_default().to_uppercase();
        self.output.array(lines.len() + 3);
        self.output.simple(&format!("{family} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        for line in lines.iter().chain(&["HELP", "    Prints this help."]) {
            self.output.simple(line);
        }
    }
}
