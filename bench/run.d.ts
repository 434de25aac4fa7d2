export interface Row {
  what: string;
  ours: number;
  peer: number;
  peerName: string;
  unit: string;
  goal: string;
  met: boolean;
}
