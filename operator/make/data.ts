/** What is kept of something made: the keys of a Secret, or the files of a folder. */
export type Data = Readonly<Record<string, string>>
