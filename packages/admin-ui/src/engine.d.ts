/** Of V8 and no standard; the protocol, which the page is checked together with, sets it where it exists. */
interface ErrorConstructor {
  stackTraceLimit: number;
}
