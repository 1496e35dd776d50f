/** Two becoming one. */
export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0f766e"/><path d="M8 7v4c0 5 8 5 8 10v4M24 7v4c0 5-8 5-8 10" fill="none" stroke="#fff" stroke-width="3.2" stroke-linecap="round"/></svg>`;
