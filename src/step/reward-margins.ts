/** Margins follow from rewards that are means already, so the GPU does not add them up. */

/** Adds `GROUP/margins` for every `GROUP/chosen` and `GROUP/rejected`, of rewards weighted and not. @param prefix such as 'eval_' */
export function addRewardMargins(metrics: Record<string, number>, prefix = ''): void {
  for (const group of ['rewards', 'rewards_unweighted']) {
    const [chosen, rejected] = [`${prefix}${group}/chosen`, `${prefix}${group}/rejected`];
    if (chosen in metrics) metrics[`${prefix}${group}/margins`] = metrics[chosen] - metrics[rejected];
  }
}
