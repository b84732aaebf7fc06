import { Component, type ReactNode } from "react";
import { ProblemBox } from "../ui/problem-box.tsx";

type State = { fault: unknown; hash: string };

/** A fault of one screen leaves the others reachable: going elsewhere tries again. */
export class FaultBoundary extends Component<{ children: ReactNode }, State | { fault: null }> {
  override state: State | { fault: null } = { fault: null };

  static getDerivedStateFromError(fault: unknown): State {
    return { fault, hash: location.hash };
  }

  override componentDidMount(): void {
    window.addEventListener("hashchange", this.reset);
  }

  override componentWillUnmount(): void {
    window.removeEventListener("hashchange", this.reset);
  }

  reset = (): void => {
    if (this.state.fault !== null) this.setState({ fault: null });
  };

  override render(): ReactNode {
    if (this.state.fault === null) return this.props.children;
    return <ProblemBox problem={this.state.fault} onRetry={this.reset} />;
  }
}
