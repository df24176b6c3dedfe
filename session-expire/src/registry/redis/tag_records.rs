//! Records of several tags, for a list of all users.
//!
//! They are read without a script: in a Cluster, a script must wait while its slot moves.

use redis::{Cmd, Value};

use super::{
    error::OperationError,
    load::{is_of_earlier_generation, read_end},
    operations::{Operations, read_listed},
    server::pipeline::convert,
};
use crate::session::record::SessionRecord;

/// Record of a tag, with the generation of the tag.
struct TagRecord<'a> {
    tag: &'a str,
    record: SessionRecord,
    generation: u64,
}

impl Operations {
    /// Reads records by their tags and names. Records that do not exist are left out.
    pub(super) async fn read_records(
        &self,
        mut names: Vec<(String, String)>,
    ) -> Result<Vec<SessionRecord>, OperationError> {
        names.sort_unstable();
        let tags: Vec<_> = names.chunk_by(|a, b| a.0 == b.0).collect();
        let commands: Vec<_> = tags.iter().map(|names| self.records_command(names)).collect();
        let responses = self.connection.query_all(&commands, self.timeout).await?;
        let mut records = vec![];
        for (names, response) in tags.into_iter().zip(responses) {
            records.extend(read_tag(&names[0].0, response)?);
        }
        self.end_earlier(&mut records).await?;
        Ok(records.into_iter().map(|of_tag| of_tag.record).collect())
    }

    /// Returns the command that reads the generation and records of a tag.
    fn records_command(&self, names: &[(String, String)]) -> Cmd {
        let mut command = redis::cmd("HMGET");
        command.arg(self.tag_key(&names[0].0)).arg("generation");
        names.iter().for_each(|(_, name)| _ = command.arg(name));
        command
    }

    /// Sets the ends of open records that a call of `end_everyone` has ended.
    async fn end_earlier(&self, records: &mut [TagRecord<'_>]) -> Result<(), OperationError> {
        let is_earlier = |of_tag: &&mut TagRecord<'_>| {
            is_of_earlier_generation(&of_tag.record, of_tag.generation)
        };
        let earlier: Vec<_> = records.iter_mut().filter(is_earlier).collect();
        let command = |of_tag: &&mut TagRecord<'_>| {
            self.end_command(of_tag.tag, of_tag.record.generation, of_tag.generation)
        };
        let commands: Vec<_> = earlier.iter().map(command).collect();
        let responses = self.connection.query_all(&commands, self.timeout).await?;
        for (of_tag, response) in earlier.into_iter().zip(responses) {
            of_tag.record.ended = Some(read_end(response, &of_tag.record)?);
        }
        Ok(())
    }
}

/// Reads the generation and the records of a tag.
fn read_tag(tag: &str, response: Value) -> Result<Vec<TagRecord<'_>>, OperationError> {
    let mut texts = convert::<Vec<Option<String>>>(response)?.into_iter();
    let generation = texts.next().flatten().map(|text| text.parse()).transpose();
    let generation = generation.map_err(|_| OperationError::Response)?.unwrap_or(0);
    let records = texts.flatten().filter_map(|text| read_listed(&text));
    Ok(records.map(|record| TagRecord { tag, record, generation }).collect())
}
