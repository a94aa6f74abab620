/** The local days that instants fall on, in Central time. Offsets are asked for once per hour of the calendar. */
export class LocalDays {
  readonly names = new Set<string>()
  readonly #hours = new Map<number, string>()
  readonly #calendar = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/Chicago', dateStyle: 'short' })

  addAll(instants: Float64Array): void {
    let last = Number.NaN
    for (const instant of instants) {
      const hour = Math.floor(instant / 3_600_000)
      if (hour === last) continue
      last = hour
      if (this.#hours.has(hour)) continue
      const name = this.#calendar.format(hour * 3_600_000)
      this.#hours.set(hour, name)
      this.names.add(name)
    }
  }
}
