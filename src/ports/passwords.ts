/** Asked when a hash's turn in the line has come, just before the work; may throw to call it off. */
export type Admit = () => void | Promise<void>;

/** Slow hashing of passwords, off the event loop, only so many at once. */
export interface Passwords {
  /** @throws TooMany `busy` when the line is full */
  hash(password: string, admit?: Admit): Promise<string>;
  /**
   * @param hash undefined when there is no such account: takes as long, answers false
   * @throws TooMany `busy` when the line is full
   */
  verify(password: string, hash: string | undefined, admit?: Admit): Promise<boolean>;
}
