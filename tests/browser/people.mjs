// What people do on the pages of the gateway, whoever they are.

const ANSWERS = {
  company: 'Weber Haustechnik',
  phone: '+49 30 123456',
  address: 'Lindenstraße 1',
  postal_code: '10969',
  city: 'Berlin',
};

export const heading = (page, name) => page.getByRole('heading', { name, level: 1 }).waitFor();

// Fills in whatever is asked and empty, ticks what has to be ticked, and sends it. Which fields
// there are can depend on the kind of account, so that a second round may be needed.
export async function registers(page, kind) {
  const form = page.locator('form[action="/auth/register"]');
  for (let round = 0; round < 2 && (await form.count()) > 0; round += 1) {
    await tick(form.getByRole('radio', { name: kind }));
    for (const [name, value] of Object.entries(ANSWERS)) {
      const field = form.locator(`input[name=${name}]`);
      const isAsked = (await field.count()) > 0 && (await field.isVisible());
      if (isAsked && (await field.inputValue()) === '') await field.fill(value);
    }
    for (const list of await form.locator('select').all()) {
      if ((await list.inputValue()) === '') await list.selectOption({ index: 1 });
    }
    await ticks(form.getByRole('checkbox'));
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.waitForLoadState();
  }
}

export async function ticks(boxes) {
  for (const box of await boxes.all()) await tick(box);
}

// As a person does: by its label, which lies over the box.
async function tick(box) {
  if ((await box.count()) === 0 || (await box.isChecked())) return;
  await box.page().locator(`label[for="${await box.getAttribute('id')}"]`).click();
}
